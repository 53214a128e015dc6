"""Archives for many small workspaces and one whale, and says how much memory it took: a process of its own.

    python -m tests.memory.archiving FOLDER WORKSPACES BUFFER_BYTES FLUSH_BYTES

The worker's own policy, sorter, owner, flusher, sealing and keystore; what they store is on disk, or only
counted, and what Kafka would bring is made as it is taken. One workspace has half of the records, each of the
others one a round. Prints one line of JSON, a Took.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.memory.on_disk import Forgetting, OnDisk
from topics import workspaces, write_keys
from topics.workspaces import Source, Workspace
from topics.write_keys import KeyState, WriteKey
from workers.intake.policy import Policy
from workers.intake.sort import Sorter
from workers.ledger.assign import claim
from workers.ledger.entries import Writer
from workers.ledger.flush import SEALING_THREADS, Flusher, Uploads
from workers.ledger.head import Head
from workers.ledger.pack import Compression, Packer
from workers.ledger.succession import LogId
from workers.roles.heap import calm_collector, keep_freed
from workers.roles.owner import Limits, Owner
from workers.sealing.keystore import Keystore
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.chunk import Chunk, Run

PARTITIONS = 8
ROUNDS = 1  # of the small workspaces
CHUNK = 1300  # records, as a fetch of 1 MiB brings them
VALUE = b'{"v":1,"writeKey":"%s","receivedAt":"2026-11-26T10:00:00.000Z","event":{"type":"track","pad":"%s"}}'
PAD = os.urandom(340).hex().encode()  # 760 bytes a record
WRITER = Writer("memory", "test")


class Took(msgspec.Struct):
    loaded: int  # bytes of resident memory: the program, before there is any policy
    policy: int  # with it
    highest: int  # bytes, the most there ever were
    records: int  # taken
    accepted: int  # by the entries
    objects: int
    entries: int
    seconds: float


class Log:
    """An empty partition, when it is claimed."""

    async def bounds(self) -> tuple[int, int]:
        return 0, 0

    async def record(self, offset: int) -> bytes | None:
        return None

    async def first_record(self, start: int, end: int) -> int | None:
        return None


class Fresh:
    """A copy of policy that never gets old."""

    def stale(self) -> bool:
        return False

    def versions(self) -> dict[str, tuple[int, ...]]:
        return {}


def key_of(number: int) -> str:
    return f"{number * 2654435761 % 2**64:032x}"


def policy_of(count: int, now: int) -> Policy:
    policy = Policy()
    for number in range(count):
        name = f"shop{number}"
        workspace = Workspace(id=name, sources=(Source(id="web"),), changed_at=now, shard=0, seq=1)
        key = WriteKey(
            key=key_of(number),
            workspace=name,
            source="web",
            state=KeyState.ACTIVE,
            changed_at=now,
            shard=0,
            seq=1,
        )
        policy.apply_workspace(workspaces.codec.encode(workspace))
        policy.apply_write_key(write_keys.codec.encode(key))
    return policy


def chunks(count: int, now: int) -> Iterator[Chunk]:
    """A partition has its own workspaces, as Kafka's keys have it; the whale is on all."""
    offsets = [0] * PARTITIONS
    shares = [range(partition or PARTITIONS, count, PARTITIONS) for partition in range(PARTITIONS)]
    for _ in range(ROUNDS):
        for first in range(0, len(shares[0]), CHUNK // 2):
            for partition, share in enumerate(shares):
                some = share[first : first + CHUNK // 2]
                numbers = [number for small in some for number in (small, 0)]
                start = offsets[partition]
                offsets[partition] += len(numbers)
                yield Chunk(
                    partition,
                    start,
                    offsets[partition],
                    [
                        Run(
                            range(start, offsets[partition]),
                            now,
                            [VALUE % (key_of(number).encode(), PAD) for number in numbers],
                        )
                    ],
                )


async def main(folder: Path, count: int, buffer_bytes: int, flush_bytes: int) -> Took:
    def now() -> int:
        return time.time_ns() // 1_000_000

    keep_freed()
    loaded = resident()
    ledger, keys, data = OnDisk(folder / "ledger"), OnDisk(folder / "keys"), Forgetting()
    policy = policy_of(count, now())
    calm_collector()
    with_policy = resident()
    retry = Retry()
    settings = Settings()
    with ThreadPoolExecutor(SEALING_THREADS) as threads:
        flusher = Flusher(
            data=data,
            ledger=ledger,
            keys=Keystore([keys], Roots([FileRoot(os.urandom(32))]), life=settings.key_cache_life),
            packer=Packer(Compression(settings.compression), settings.compression_level),
            writer=WRITER,
            retry=retry,
            threads=threads,
            uploads=Uploads(settings.put_concurrency),
            now=now,
        )
        accepted = entries = objects = 0

        def told(entry: object, _: object) -> None:
            nonlocal accepted, entries, objects
            assert hasattr(entry, "counts")
            assert hasattr(entry, "objects")
            entries += 1
            objects += len(entry.objects)
            accepted += sum(entry.counts["accepted"].values())

        async def claims(partition: int) -> Head:
            log_id = LogId("raw-events", "5L6g3nShTeMCtKXX86swAA", partition)
            return await claim(ledger, log_id, Log(), hint=None, writer=WRITER, now=now(), retry=retry)

        owner = Owner(
            claims,
            Sorter(policy),
            Fresh(),
            flusher,
            Limits(flush_bytes, 3600.0, buffer_bytes, 600.0),
            lambda cause, why: lambda: None,
            lambda: None,
            now,
            time.monotonic,
            told,
        )
        await owner.claim(frozenset(range(PARTITIONS)))
        began, records = time.monotonic(), 0
        for chunk in chunks(count, now()):
            records += chunk.records
            await owner.take(chunk)
            await asyncio.sleep(0)  # as a stream does it: flushes go on beside
            if owner.failed.done():
                owner.failed.result()
        await owner.drain()
    return Took(loaded, with_policy, highest(), records, accepted, objects, entries, time.monotonic() - began)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


def resident() -> int:
    return _status("VmRSS")


def highest() -> int:
    return _status("VmHWM")


if __name__ == "__main__":
    where, *sizes = sys.argv[1:]
    print(msgspec.json.encode(asyncio.run(main(Path(where), *map(int, sizes)))).decode())
