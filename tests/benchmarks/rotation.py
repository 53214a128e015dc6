"""Rotates a workspace's key, then the root key, while a worker archives; each is killed half-way once.

python -m tests.benchmarks.rotation [--units 10000] [--objects 100000] [--rate 1000]

The workspace has many units, and there are a thousand others; the new root key is one of moto's KMS.
Fails if a request touched data/, if anything was lost, or if a row is not under the new key.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from tests.benchmarks.load import KEYS, SIZE
from tests.benchmarks.soak_samples import LogEnds
from tests.benchmarks.turns import own_fleet, stack
from tests.runs import runs_of
from tests.stack import ladder
from tests.stack.moto_kms import MotoKms, moto_kms
from tests.system.fleet import COMMAND, START_WITHIN, Fleet, wait_until
from tests.system.gate import Gate, gate_before
from tests.unit.intake.making import DAY, Record, key_record, policy_of, workspace_record
from tests.unit.ledger.world import TOPIC_ID, WRITER, done
from topics.workspaces import Source, SourceType
from workers import opening
from workers.by import By
from workers.cli.policy import open_policy
from workers.intake.batch import Batch
from workers.intake.dispositions import Clock
from workers.intake.sort import Sorter
from workers.ledger import entries
from workers.ledger.entries import Genesis
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import after_genesis
from workers.ledger.names import ChainId
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import add_key, set_workspace
from workers.sample.load import load_keys, records
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.settings import Settings
from workers.store.port import IF_ABSENT
from workers.store.retry import Retry

SOURCES = 100
WORKSPACE = "acme"
OTHERS = 1_000  # workspaces with one unit each


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=1_000, help="records/s that a worker archives meanwhile")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with stack() as (bootstrap, s3), moto_kms() as kms:
        settings = {
            "STRONGROOM_KEYSTORE_BUCKET": s3.versioned_bucket(),
            "STRONGROOM_KEYSTORE_BUCKET_2": s3.versioned_bucket(),
            "STRONGROOM_KEY_CACHE_LIFE": "10",
            "STRONGROOM_FLUSH_INTERVAL": "20",
        }
        with own_fleet(bootstrap, s3, settings, bucket=s3.versioned_bucket()) as fleet:
            os.environ.update(fleet.environment())
            measure(fleet, kms, asked.units // SOURCES, asked.objects // asked.units, asked.rate)


def measure(fleet: Fleet, kms: MotoKms, days: int, rounds: int, rate: int) -> None:
    archived = asyncio.run(fill(days, rounds))
    units = SOURCES * days
    print(f"{units:,} units, {archived:,} objects; {ladder.said()}", flush=True)
    topic = f"{fleet.prefix}raw-events"
    ends = LogEnds(fleet.bootstrap, topic)
    worker = fleet.worker("beside").wait_ready()
    producer = [sys.executable, "-m", "tests.benchmarks.soak_producer", fleet.bootstrap, topic, str(rate)]
    with subprocess.Popen([*producer, str(rate * 3600)]) as sending:
        wait_until(lambda: worker.metric("strongroom_records_total") > rate, START_WITHIN, worker.log)
        workspace = ("workspace", WORKSPACE)
        # two buckets: so many PUTs are half of the rows
        rotated(fleet, workspace, lambda gate: puts(gate, "/src%3D") > units)
        rotated(fleet, workspace)
        [standing] = fleet.json("keystore", "status", "--workspace", WORKSPACE)
        print(f"status: {standing}", flush=True)
        assert (standing["generation"], standing["generations"], standing["older"]) == (2, 1, 0)
        assert standing["units"] >= units

        fleet.settings |= {"STRONGROOM_KMS_KEYS": kms.key(), "STRONGROOM_KMS_ENDPOINT": kms.endpoint}
        rotated(fleet, ("root",), lambda gate: puts(gate, "/l1.json") > OTHERS)
        rotated(fleet, ("root",))
        everybody = fleet.json("keystore", "status")
        assert len(everybody) > OTHERS
        assert {(len(each["roots"].split()), each["remarks"]) for each in everybody} == {(2, "")}
        sending.kill()

    live = ends.total()
    wait_until(
        lambda: sum(head["next"] for head in fleet.json("ledger", "head") if head["topic"] == topic) >= live,
        300,
        worker.log,
    )
    assert worker.stop() == 0
    report = fleet.json("verify", "--deep")
    assert report["objects"] > units * rounds, "there were fewer objects than were to be"
    print(
        f"archived meanwhile: {live:,} records; verify --deep: {report['opened']:,} objects opened, "
        f"{report['lines']:,} records counted; clean: {report['clean']}"
    )
    assert report["clean"], report["findings"][:10]
    assert report["offsets"] == archived + live
    assert report["lines"] == archived + live


def never(_: Gate) -> bool:
    return False


def rotated(fleet: Fleet, what: Sequence[str], enough: Callable[[Gate], bool] = never) -> None:
    """The command to its end, or until `enough`: then it is killed with signal 9. Tells what it asked."""
    command = [str(COMMAND), "keystore", "rotate", *what, "--reason", "to measure it"]
    began = time.monotonic()
    with gate_before(fleet.endpoint, "nothing") as gate:
        environment = fleet.environment({"STRONGROOM_S3_ENDPOINT": gate.endpoint})
        with subprocess.Popen(command, env=environment) as rotating:
            while rotating.poll() is None and not enough(gate):
                time.sleep(0.05)
            rotating.kill()
        assert rotating.returncode == (0 if enough is never else -signal.SIGKILL), rotating.returncode
        requests = Counter[str]()
        for (method, path), count in gate.seen.items():
            requests[f"{method} {folder_of(path)}"] += count
    told = ", ".join(f"{which} {count:,}" for which, count in sorted(requests.items()))
    how = "to its end" if enough is never else "killed -9"
    print(f"{what[0]} {how}: {time.monotonic() - began:.1f} s; {told}", flush=True)
    assert not any(which.endswith(" data/") for which in requests), "an object was touched"


def puts(gate: Gate, part: str) -> int:
    """PUTs of names with this in them."""
    return sum(n for (method, path), n in gate.seen.copy().items() if method == "PUT" and part in path)


def folder_of(path: str) -> str:
    """`data/` of /bucket/data/…; what is asked of a bucket itself is a list."""
    address = urlsplit(path)
    _, _, key = unquote(address.path).lstrip("/").partition("/")
    return key.partition("/")[0] + "/" if key else "(list)"


async def fill(days: int, rounds: int) -> int:
    """Policy, and objects of one record: each round one for each source and day. Returns how many."""
    settings, retry = Settings.load(), Retry(attempts=5)
    now = time.time_ns() // 1_000_000
    by = By("bench", "bench", "bench", now=now)
    keys = load_keys(KEYS)
    sources = tuple(Source(id=f"s{number}", type=SourceType.SERVER) for number in range(SOURCES))
    async with AsyncExitStack() as opened:
        books = await opened.enter_async_context(open_policy(settings))
        await set_workspace(books, WORKSPACE, lambda w: replace(w, sources=sources), by)
        for number, key in enumerate(keys):
            await add_key(books, key, WORKSPACE, f"s{number % SOURCES}", by)
        sorter = Sorter(
            policy_of(
                [
                    key_record(key, workspace=WORKSPACE, source=f"s{n % SOURCES}")
                    for n, key in enumerate(keys)
                ],
                [workspace_record(WORKSPACE, sources=sources)],
            )
        )
        keystore: Keystore = await opened.enter_async_context(opening.open_keystore(settings))
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        others = [Unit(f"other{number}", "web", today, Clock.MAIN) for number in range(OTHERS)]
        assert await keystore.prepare(others) == 0
        flusher = Flusher(
            data=await opened.enter_async_context(opening.open_data(settings)),
            ledger=await opened.enter_async_context(opening.open_ledger(settings)),
            keys=keystore,
            packer=Packer(Compression.ZSTD, 1),
            writer=WRITER,
            retry=retry,
            threads=opened.enter_context(ThreadPoolExecutor(2)),
            uploads=Uploads(16),
            now=lambda: now,
        )
        chain = ChainId("older-events", TOPIC_ID, 1, 0)
        genesis = Genesis(**chain._asdict(), first=0, attempt="0" * 16, writer=WRITER, created_at=now)
        ledger = await opened.enter_async_context(opening.open_ledger(settings))
        await ledger.put(chain.genesis, entries.encode(genesis), condition=IF_ABSENT)
        head = after_genesis(chain, entries.encode(genesis))
        values = list(one_of_each_source(dict(zip(keys, range(KEYS), strict=True))))
        for _ in range(rounds):
            batch = Batch(head.next)
            found = [
                Record(value, head.next + day * SOURCES + number, timestamp=now - (day + 1) * DAY)
                for day in range(days)
                for number, value in enumerate(values)
            ]
            sorter.sort(runs_of(found), now=now, into=batch.sorting)
            batch.extend(head.next + len(found), len(found), uptime=0.0, oldest=now)
            head = (await flusher.flush(chain, batch, done(head))).head
        return head.next


def one_of_each_source(keys: Mapping[str, int]) -> Iterator[bytes]:
    """`keys`: write key → its number."""
    met: set[int] = set()
    for _, value in records(1, KEYS * 100, KEYS, SIZE):
        source = keys[json.loads(value)["writeKey"]] % SOURCES
        if source not in met:
            met.add(source)
            yield value
    assert len(met) == SOURCES, "the sample has no record of some source"


if __name__ == "__main__":
    main()
