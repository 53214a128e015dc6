"""Policy of any size for a benchmark, written straight to the topics; and changes of workspaces, evenly."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from tests.benchmarks.load import deliver
from tests.system.fleet import Fleet
from topics import workspaces, write_keys
from topics.workspaces import Source, SourceType, Workspace
from topics.write_keys import KeyState, WriteKey
from workers.ledger.policy_entries import shard_of

UPDATES = 50  # workspaces a second
NOW = 1_795_428_000_000  # ms since the epoch: when all this policy was made


def spread(fleet: Fleet, keys: int, accounts: int) -> None:
    began = time.monotonic()
    publish(fleet, workspaces.NAME, (encoded(account(number, seq=1)) for number in range(accounts)))
    publish(fleet, write_keys.NAME, (key_of(number, accounts) for number in range(keys)))
    print(f"policy is on the topics after {time.monotonic() - began:.0f} s", flush=True)


def account(number: int, seq: int, name: str = "shop") -> Workspace:
    return Workspace(
        id=f"{name}{number}",
        sources=(
            Source(id="web"),
            Source(id="app", type=SourceType.MOBILE),
            Source(id="api", type=SourceType.SERVER),
        ),
        allowed_origins=(f"{name}{number}.example", f"[*.]{name}{number}.example"),
        retention_days=365,
        contacts=(f"privacy@{name}{number}.example",),
        changed_at=NOW,
        shard=shard_of(f"{name}{number}"),
        seq=seq,
    )


def encoded(value: Workspace) -> tuple[bytes, bytes]:
    return workspaces.record_key(value), workspaces.codec.encode(value)


def key_of(number: int, accounts: int) -> tuple[bytes, bytes]:
    key = f"{number * 2654435761 % 2**64:032x}"
    value = WriteKey(
        key=key,
        workspace=f"shop{number % accounts}",
        source=("web", "app", "api")[number // accounts % 3],
        state=KeyState.ACTIVE,
        reason="registered by the shop",
        changed_at=NOW,
        shard=shard_of(key),
        seq=1 + number // 256,
    )
    return write_keys.record_key(value), write_keys.codec.encode(value)


def publish(fleet: Fleet, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Keyed to partitions as the commands' client does it."""
    # the topics of policy refuse larger batches
    settings = {"partitioner": "murmur2_random", "batch.size": 64 * 1024}
    deliver(fleet, topic, ((key, value, -1) for key, value in records), **settings)


@contextmanager
def updates(fleet: Fleet, round_: int) -> Iterator[None]:
    """UPDATES workspaces a second, evenly, while the block lasts."""
    over = threading.Event()

    def send() -> None:
        producer = Producer({"bootstrap.servers": fleet.bootstrap, "acks": "all", "linger.ms": 0,
                             "partitioner": "murmur2_random"})  # fmt: skip
        began, number = time.monotonic(), 0
        while not over.wait(max(0.0, began + number / UPDATES - time.monotonic())):
            value = changed(number, 100_000 * (round_ + 1) + number)
            producer.produce(
                fleet.prefix + workspaces.NAME, workspaces.codec.encode(value), workspaces.record_key(value)
            )
            producer.poll(0)
            number += 1
        assert producer.flush(60) == 0
        print(f"  {number} updates", flush=True)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def changed(number: int, seq: int) -> Workspace:
    """Every second one is of the load, with the sources that it has."""
    if number % 2:
        return account(number, seq)
    sources = tuple(Source(id=f"s{each}", type=SourceType.SERVER) for each in range(10))
    return Workspace(id=f"w{number // 2 % 20}", sources=sources, changed_at=NOW, shard=0, seq=seq)
