"""Rotates keys under load: is a record ever lost over the overlap, or one of an old key taken after it?

    python -m tests.benchmarks.bench_rotation_overlap [--workers 2] [--rotations 100] [--overlap 6]

Twenty customers at a time rotate their key, again and again, by the code of `strongroom keys rotate --wait`.
Each goes on sending with the old key alone until every worker has reported the new one; then with both, as
pages in caches do, until two seconds after the old one's end; then with the new one. Meanwhile the workers
archive a full load.

A record that the broker appended before its key's end must be in the archive, once; one that it appended
later must not. That is looked up for every acknowledged record. Exits 1 otherwise. Some 2 minutes.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.benchmarks.policy_archive import archived, verified
from tests.benchmarks.policy_feeder import Feeder
from tests.benchmarks.policy_fleet import TimedPublisher, by, commands, fleet_for, register, under_load
from tests.benchmarks.policy_load import Probe
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.system.fleet import Fleet
from topics import write_keys
from workers.cli.roll_call import open_roll_call
from workers.ledger.policy_book import Place
from workers.ledger.policy_commands import Books, rotate_key
from workers.observe.roll_call import RollCall
from workers.settings import Settings

CUSTOMERS = 20
TAIL = 2.0  # seconds for which an old key is used after its end
REST = 1.0  # seconds between two rotations of a customer
WARM_UP = 5.0  # seconds of load before the first
APPLIED_WITHIN = 20.0  # seconds for every worker to report a rotation


class Rotation(NamedTuple):
    old: str
    new: str
    until: int  # ms since the epoch
    switched: int  # ms: when the customer began to send with `new` as well


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rotations", type=int, default=100)
    parser.add_argument("--overlap", type=float, default=6.0, help="seconds")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with fleet_for(asked.workers, flush_interval=20) as (kafka, fleet):
        findings = asyncio.run(
            measure(kafka, fleet, asked.workers, asked.rotations, int(asked.overlap * 1000))
        )
    for finding in findings:
        print(f"FAILED: {finding}")
    print("all is well" if not findings else f"{len(findings)} findings")
    sys.exit(1 if findings else 0)


async def measure(kafka: Kafka, fleet: Fleet, workers: int, count: int, overlap_ms: int) -> list[str]:
    """What was found amiss."""
    print(
        f"{workers} workers, {count} rotations, {overlap_ms / 1000:g} s overlap; {ladder.said()}", flush=True
    )
    settings = Settings.load()
    async with commands(settings) as (books, published), open_roll_call(settings) as roll:
        customers = [key_of(number, 0) for number in range(min(CUSTOMERS, count))]
        await register(books, customers)
        with under_load(kafka, fleet, workers, customers) as loaded:
            rotator = Rotator(books, published, roll, loaded.feeder, customers, workers)
            await asyncio.sleep(WARM_UP)
            began = time.monotonic()
            turns = [len(range(number, count, len(customers))) for number in range(len(customers))]
            found = await asyncio.gather(
                *(rotator.customer(number, turn, overlap_ms) for number, turn in enumerate(turns))
            )
            ended = time.monotonic()
            print(f"rotated in {ended - began:.0f} s, at {loaded.feeder.load(began, ended)}", flush=True)
            sent = await asyncio.to_thread(loaded.end)
    rotations = [each for customer in found for each in customer]
    return judged(rotations, loaded.probes(), archived(fleet)) + verified(fleet, sent)


def key_of(customer: int, generation: int) -> str:
    return f"rotated{customer:012d}x{generation:012d}"


class Rotator:
    """Rotates customers' keys, and has the producer send with those that each uses at the time."""

    def __init__(
        self,
        books: Books,
        published: TimedPublisher,
        roll: RollCall,
        feeder: Feeder,
        keys: Sequence[str],
        workers: int,
    ) -> None:
        self._books = books
        self._published = published
        self._roll = roll
        self._feeder = feeder
        self._used = set(keys)
        self._workers = workers

    async def customer(self, number: int, turns: int, overlap_ms: int) -> list[Rotation]:
        rotations = []
        await asyncio.sleep(REST * number / CUSTOMERS)
        for turn in range(turns):
            old, new = key_of(number, turn), key_of(number, turn + 1)
            rotated = await rotate_key(self._books, old, new, overlap_ms, by("to measure it"))
            assert rotated.old.until is not None
            await self._applied(self._published.spans[new].place)
            self._use(new)
            switched = time.time_ns() // 1_000_000
            await asyncio.sleep(rotated.old.until / 1000 + TAIL - time.time())
            self._use_no_more(old)
            rotations.append(Rotation(old, new, rotated.old.until, switched))
            await asyncio.sleep(REST)
        return rotations

    def _use(self, key: str) -> None:
        self._used.add(key)
        self._feeder.tell(keys=sorted(self._used))

    def _use_no_more(self, key: str) -> None:
        self._used.remove(key)
        self._feeder.tell(keys=sorted(self._used))

    async def _applied(self, place: Place) -> None:
        """As --wait: every worker has reported the record that stands there."""
        async with asyncio.timeout(APPLIED_WITHIN):
            while self._reported(place) < self._workers:  # noqa: ASYNC110  # what others say
                await asyncio.sleep(0.05)

    def _reported(self, place: Place) -> int:
        return sum(
            part.version[place.partition] >= place.offset
            for report in self._roll.reports.values()
            for part in report.applied
            if part.topic == write_keys.NAME
        )


def phase(probe: Probe, rotation: Rotation | None) -> str:
    """What the record's key was when the broker appended it; `rotation` is the one that ends that key."""
    if rotation is None or probe.appended < rotation.switched:
        return "the only one"
    return "old, beside the new" if probe.appended < rotation.until else "over"


def judged(rotations: Sequence[Rotation], probes: Iterable[Probe], accepted: set[int]) -> list[str]:
    """Prints how many records of each kind there were; returns what is amiss."""
    by_old = {each.old: each for each in rotations}
    kinds: Counter[str] = Counter()
    met: set[tuple[str, str]] = set()
    findings = []
    for probe in probes:
        kind = phase(probe, by_old.get(probe.key))
        kinds[kind] += 1
        met.add((probe.key, kind))
        if (kind == "over") is (probe.number in accepted):
            what = "accepted, and its key was over" if kind == "over" else "not accepted"
            findings.append(f"record {probe.number} of {probe.key}, appended at {probe.appended}: {what}")
    told = ", ".join(f"{count:,} with a key that was {kind}" for kind, count in sorted(kinds.items()))
    print(f"{len(rotations)} rotations: records {told}; {len(findings)} misjudged", flush=True)
    unproven = [key for key in by_old if not {(key, "old, beside the new"), (key, "over")} <= met]
    return findings[:10] + [f"{key} was not used both in its overlap and after it" for key in unproven]


if __name__ == "__main__":
    main()
