"""N workers on one topic under full load, for the benchmarks of policy: set up, fed, and stopped in order."""

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tests.benchmarks import noted_worker, policy_load
from tests.benchmarks.costs import archived
from tests.benchmarks.figures import scrape
from tests.benchmarks.load import KEYS
from tests.benchmarks.noted_worker import Notes
from tests.benchmarks.policy_archive import PROBED
from tests.benchmarks.policy_feeder import Feeder
from tests.benchmarks.policy_load import Probe
from tests.benchmarks.turns import own_fleet, servers
from tests.stack.kafka import Kafka
from tests.system.fleet import COMMAND, Fleet, Worker, wait_until
from topics import write_keys
from topics.workspaces import Source, SourceType
from workers import opening
from workers.by import By
from workers.cli import running
from workers.ledger.policy_book import Place
from workers.ledger.policy_commands import Books, add_key, open_books, set_workspace
from workers.ledger.policy_shards import together
from workers.sample.load import load_keys
from workers.settings import Settings
from workers.stream.publish import Publisher

TAKEN_WITHIN = 180.0  # seconds to take and archive what was sent, once sending has ended
WORKER_PARTITIONS = 2  # a worker


def now() -> int:
    """ms since the epoch."""
    return time.time_ns() // 1_000_000


def by(why: str) -> By:
    return By("bench", "bench", why, now=now())


class Span(NamedTuple):
    """Of one publication: `sent` just before it was handed to Kafka's client, `acknowledged` when that said
    that all in-sync replicas have it. ns since the epoch."""

    sent: int
    acknowledged: int
    place: Place


class TimedPublisher:
    """The commands' own publisher, with the times of each write key's last publication."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.spans: dict[str, Span] = {}

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place:
        sent = time.time_ns()
        place = await self._publisher.send_and_wait(topic, key, value)
        if key is not None and topic.endswith(write_keys.NAME):
            self.spans[key.decode()] = Span(sent, time.time_ns(), place)
        return place


@asynccontextmanager
async def commands(settings: Settings) -> AsyncIterator[tuple[Books, TimedPublisher]]:
    """The books that `strongroom keys` works with, in one process for all commands."""
    async with opening.open_ledger(settings) as store, opening.open_publisher(settings) as publisher:
        timed = TimedPublisher(publisher)
        yield open_books(store, timed, prefix=settings.topic_prefix, retry=running.patient()), timed


async def register(books: Books, probed: Sequence[str]) -> None:
    """KEYS keys of 20 workspaces with 10 sources each for the load; `probed` over PROBED, a source each."""
    sources = tuple(Source(id=f"s{number}", type=SourceType.SERVER) for number in range(10))
    for workspace in (*(f"w{number}" for number in range(20)), *PROBED):
        await set_workspace(books, workspace, lambda w: replace(w, sources=sources), by("bench"))
    places = {key: (f"w{number % 20}", f"s{number // 20}") for number, key in enumerate(load_keys(KEYS))}
    places |= {key: (PROBED[number % len(PROBED)], "s0") for number, key in enumerate(probed)}
    await together(lambda key: add_key(books, key, *places[key], by("bench")), places)


@dataclass
class Loaded:
    """A fleet under load."""

    kafka: Kafka
    fleet: Fleet
    workers: list[Worker]
    notes: list[Path]
    feeder: Feeder

    def end(self) -> int:
        """Ends the load, waits until all of it is archived, stops the workers; returns how many were sent."""
        sent = self.feeder.end()
        # all at once: each waits for its own last batches
        wait_until(lambda: archived(self.fleet) >= sent, TAKEN_WITHIN, self._behind)
        for worker in self.workers:
            assert worker.stop() == 0, worker.log()
        return sent

    def read_notes(self) -> dict[str, Notes]:
        """Of each worker."""
        return {
            worker.name: noted_worker.read(file)
            for worker, file in zip(self.workers, self.notes, strict=True)
        }

    def probes(self) -> list[Probe]:
        return list(policy_load.read(self.feeder.journal))

    def _behind(self) -> str:
        return f"not everything was archived in time: {archived(self.fleet):,} records"


@contextmanager
def under_load(
    kafka: Kafka, fleet: Fleet, count: int, probed: Sequence[str], last_by: str | None = None
) -> Iterator[Loaded]:
    """`count` workers that archive a full load; the last one reaches Kafka by the address `last_by`."""
    notes = [fleet.folder / f"notes-{number}.json" for number in range(count)]
    fleet.command = (sys.executable, "-m", "tests.benchmarks.noted_worker")
    began = time.monotonic()
    for number, file in enumerate(notes):
        through = {"STRONGROOM_KAFKA_BOOTSTRAP": last_by} if last_by and number == count - 1 else {}
        fleet.worker(f"worker-{number}", **{noted_worker.FILE: str(file)}, **through)
    fleet.command = (COMMAND,)
    for worker in fleet.workers:
        worker.wait_ready()
    wait_until(lambda: all(owned(worker) == WORKER_PARTITIONS for worker in fleet.workers), 60, shares(fleet))
    print(f"{count} workers are ready after {time.monotonic() - began:.0f} s", flush=True)
    feeder = Feeder(fleet, fleet.workers, fleet.folder / "journal.csv")
    try:
        feeder.tell(keys=list(probed))
        feeder.start()
        yield Loaded(kafka, fleet, fleet.workers, notes, feeder)
    finally:
        feeder.close()


def owned(worker: Worker) -> float:
    return scrape(worker).get('strongroom_partitions{state="owned"}', 0)


def shares(fleet: Fleet) -> Callable[[], str]:
    return lambda: f"partitions are not shared evenly: {[owned(worker) for worker in fleet.workers]}"


@contextmanager
def fleet_for(count: int, flush_interval: float) -> Iterator[tuple[Kafka, Fleet]]:
    """Servers of its own, topics, and settings for `count` workers with two partitions each."""
    with servers() as (kafka, s3):
        settings = {"STRONGROOM_FLUSH_INTERVAL": str(flush_interval)}
        with own_fleet(kafka.bootstrap, s3, settings, partitions=WORKER_PARTITIONS * count) as fleet:
            os.environ.update(fleet.environment())
            yield kafka, fleet
