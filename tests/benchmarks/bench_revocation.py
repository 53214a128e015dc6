"""How long after a revocation does a worker still accept? N workers, full load, keys revoked one by one.

    python -m tests.benchmarks.bench_revocation [--workers 8] [--revocations 200] [--cut 20]

Every worker has two partitions of one topic; the producer keeps 24,000 records before them, so that all of
the machine is busy and nobody falls behind. A fifth of the records are of keys that will be revoked, on all
partitions, before, while and after they are. They are revoked by the commands' own code (books and publisher
as `strongroom keys revoke` opens them, one process for all of them).

Then one worker's policy readers are cut off for `--cut` seconds, half open, while its records still flow and
keys go on being revoked: it must hold after policy_stale_after, and decide nothing by what it knew.

What is measured, and why it can't flatter: tests/benchmarks/revocation_figures.py. Exits 1 if the p99 over
all revocations, of the slowest worker each, is above 1 s or the highest above 3 s, if anything was accepted
by a worker that had applied its revocation, if a good record was not accepted, or if `verify` finds anything.
Full size: some 5 minutes on two cores, and 4 GB of memory.
"""

import argparse
import asyncio
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.benchmarks.figures import Metrics, scrape
from tests.benchmarks.noted_worker import Notes
from tests.benchmarks.policy_archive import archived, verified
from tests.benchmarks.policy_fleet import (
    Loaded,
    TimedPublisher,
    by,
    commands,
    fleet_for,
    register,
    under_load,
)
from tests.benchmarks.revocation_figures import (
    MS,
    NEVER,
    Outcome,
    Revoked,
    histogram,
    judged,
    quantile,
    row,
    worst,
)
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.stack.policy_cut import PolicyCut
from tests.system.fleet import Fleet
from topics import workspaces, write_keys
from workers.ledger.policy_commands import Books, revoke_key
from workers.settings import Settings

P99, MAX = 1000.0, 3000.0  # ms
EVERY = 0.4  # seconds from one revocation to the next at least
WATCHED_NEXT = 3  # keys that are to be revoked next and get many records
WATCHED_AFTER = 4.0  # seconds for which a revoked key keeps them
WARM_UP = 10.0  # seconds of load before the first
COOL_DOWN = 5.0  # and after the last
CUT_EVERY = 1.0  # seconds between two revocations while a worker is cut off
SLACK = 300  # ms that a decision may begin after the copy was found too old: the look, and the machine
CAUGHT_UP_WITHIN = 60.0  # seconds after the cut
STALE = 'strongroom_holding{cause="policy_stale"}'
DELAYS = "strongroom_policy_delay_seconds"
AGE = f'strongroom_policy_age_seconds{{topic="{write_keys.NAME}"}}'


class Cut(NamedTuple):
    """One worker without its policy readers. Times in ns since the epoch."""

    worker: str
    began: int
    healed: int
    revoked: list[Revoked]
    samples: list[tuple[int, Metrics]]  # of that worker


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--revocations", type=int, default=200)
    parser.add_argument("--cut", type=float, default=20.0, help="seconds")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with fleet_for(asked.workers, flush_interval=30) as (kafka, fleet):
        topics = [fleet.prefix + name for name in (write_keys.NAME, workspaces.NAME)]
        with PolicyCut(kafka, topics) as cut:
            findings = asyncio.run(measure(kafka, fleet, cut, asked.workers, asked.revocations, asked.cut))
    for finding in findings:
        print(f"FAILED: {finding}")
    print("all is well" if not findings else f"{len(findings)} findings")
    sys.exit(1 if findings else 0)


async def measure(
    kafka: Kafka, fleet: Fleet, cut: PolicyCut, workers: int, revocations: int, seconds: float
) -> list[str]:
    """What was found amiss."""
    settings = Settings.load()
    print(f"{workers} workers, {revocations} revocations; {ladder.said()}", flush=True)
    async with commands(settings) as (books, published):
        keys = [f"doomed{number:026d}" for number in range(revocations + int(seconds / CUT_EVERY) + 5)]
        await register(books, keys)
        with under_load(kafka, fleet, workers, keys, last_by=cut.address) as loaded:
            revoker = Revoker(books, published, loaded, keys)
            await asyncio.sleep(WARM_UP)
            began = time.monotonic()
            revoked = [await revoker.next(EVERY) for _ in range(revocations)]
            ended = time.monotonic()
            await asyncio.sleep(COOL_DOWN)
            told = {worker.name: await asyncio.to_thread(scrape, worker) for worker in loaded.workers}
            print(f"revoked in {ended - began:.0f} s, at {loaded.feeder.load(began, ended)}", flush=True)
            was_cut = await cut_off(loaded, cut, revoker, seconds, settings.policy_stale_after)
            await asyncio.sleep(COOL_DOWN)
            sent = await asyncio.to_thread(loaded.end)
        notes = loaded.read_notes()
        outcome = judged([*revoked, *was_cut.revoked], notes, loaded.probes(), archived(fleet))
    findings = report(outcome, revoked) + exported(told, revocations)
    findings += held(was_cut, notes, outcome, settings.policy_stale_after, cut)
    return findings + verified(fleet, sent)


class Revoker:
    """Revokes keys one after another, and has those that it is at get many records."""

    def __init__(self, books: Books, published: TimedPublisher, loaded: Loaded, keys: Sequence[str]) -> None:
        self._books = books
        self._published = published
        self._loaded = loaded
        self._keys = keys
        self._at = 0
        self._due = 0.0
        self._revoked: list[tuple[float, str]] = []

    async def next(self, every: float) -> Revoked:
        """Not before `every` seconds since the last one began."""
        await asyncio.sleep(self._due - time.monotonic())
        moment = time.monotonic()
        self._due = moment + every
        lately = [key for at, key in self._revoked if moment - at < WATCHED_AFTER]
        self._loaded.feeder.tell(watched=[*self._keys[self._at : self._at + WATCHED_NEXT], *lately])
        key = self._keys[self._at]
        self._at += 1
        await revoke_key(self._books, key, by("to measure it"))
        self._revoked.append((time.monotonic(), key))
        return Revoked(key, self._published.spans[key])


async def cut_off(
    loaded: Loaded, cut: PolicyCut, revoker: Revoker, seconds: float, stale_after: float
) -> Cut:
    """The last worker's policy readers, for so long; returns when it has caught up."""
    *others, worker = loaded.workers
    loaded.feeder.peers = others
    samples: list[tuple[int, Metrics]] = []

    async def sample() -> None:
        while True:
            found = await asyncio.to_thread(scrape, worker)
            samples.append((time.time_ns(), found))
            await asyncio.sleep(0.25)

    sampling = asyncio.create_task(sample())
    cut.silence()
    began = time.time_ns()
    revoked = []
    while time.time_ns() - began < (seconds - CUT_EVERY) * 1000 * MS:
        revoked.append(await revoker.next(CUT_EVERY))
    await asyncio.sleep(max(0.0, seconds - (time.time_ns() - began) / 1000 / MS))
    cut.heal()
    healed = time.time_ns()
    async with asyncio.timeout(CAUGHT_UP_WITHIN):
        while samples[-1][0] < healed or samples[-1][1][AGE] > stale_after / 2 or samples[-1][1].get(STALE):  # noqa: ASYNC110  # a sample tells nobody
            await asyncio.sleep(0.25)
    sampling.cancel()
    loaded.feeder.peers = loaded.workers
    return Cut(worker.name, began, healed, revoked, samples)


def report(outcome: Outcome, revoked: Sequence[Revoked]) -> list[str]:
    """Prints what was measured before the cut; returns what of it, or of all, is amiss."""
    keys = {each.key for each in revoked}
    delays = [each for each in outcome.delays if each.key in keys]
    print(f"ms{'':32}{'':>6}{'p50':>9}{'p99':>9}{'max':>9}")
    for worker in sorted({each.worker for each in delays}):
        own = [each for each in delays if each.worker == worker]
        print(row(f"{worker}: applied, since sent", [each.applied_since_sent for each in own]))
        seen = [each.last_accepted for each in own if each.last_accepted is not None]
        print(row(f"{worker}: last accepted, since ack", seen))
    slowest = worst(delays)
    spans = [(each.span.acknowledged - each.span.sent) / MS for each in revoked]
    print(row("publication: ack, since sent", spans))
    print(row("applied, since ack", [each.applied for each in delays]))
    print(row("slowest worker: applied, since sent", slowest))
    print("all workers and revocations: applied, since sent")
    print("\n".join(histogram([each.applied_since_sent for each in delays])))
    latest = max((outcome.latest[key] for key in keys if key in outcome.latest), default=-NEVER)
    print(
        f"{outcome.accepted:,} records of watched keys were accepted, {outcome.refused:,} not; the last one "
        f"accepted was appended {latest:,.0f} ms after its key's revocation was acknowledged",
        flush=True,
    )
    findings = [f"accepted after it was applied: {each}" for each in outcome.accepted_after[:5]]
    findings += [f"good, and not accepted: {each}" for each in outcome.lost[:5]]
    if latest > MAX:
        findings.append(f"a record that was appended {latest:,.0f} ms after a revocation was accepted")
    if quantile(slowest, 0.99) > P99 or max(slowest) > MAX:
        findings.append(f"p99 {quantile(slowest, 0.99):,.0f} ms, max {max(slowest):,.0f} ms")
    return findings


def exported(told: Mapping[str, Metrics], revocations: int) -> list[str]:
    """Prints the histogram that the workers export; each must have seen every revocation."""
    print(f"{DELAYS} of write-keys, all workers: " + ", ".join(
        f"≤ {bound} s: {sum(each[name] for each in told.values()):.0f}" for bound, name in buckets(told)
    ))  # fmt: skip
    name = f'{DELAYS}_count{{topic="{write_keys.NAME}"}}'
    return [
        f"{worker} exports {found.get(name, 0):.0f} delays of {revocations} revocations"
        for worker, found in told.items()
        if found.get(name) != revocations
    ]


def buckets(told: Mapping[str, Metrics]) -> Iterator[tuple[str, str]]:
    """(bound in seconds, the sample's name)."""
    for name in next(iter(told.values())):
        if name.startswith(f"{DELAYS}_bucket") and f'topic="{write_keys.NAME}"' in name:
            [bound] = re.findall(r'le="([^"]+)"', name)
            yield bound, name


def held(
    cut: Cut, notes: Mapping[str, Notes], outcome: Outcome, stale_after: float, proxy: PolicyCut
) -> list[str]:
    """Prints what the worker did that was cut off; returns what of it is amiss."""
    until = cut.began + int(stale_after * 1000 + SLACK) * MS
    by_old = [each for each in notes[cut.worker].decided if until < each.began < cut.healed]
    while_cut = [(at, found) for at, found in cut.samples if cut.began <= at <= cut.healed]
    holding = [at for at, found in while_cut if found.get(STALE)]
    oldest = max(found[AGE] for _, found in while_cut)
    seconds = (cut.healed - cut.began) / 1000 / MS
    print(
        f"{cut.worker} was cut off for {seconds:.1f} s, {proxy.swallowed} messages did not get through: it "
        f"held after {(holding[0] - cut.began) / 1000 / MS if holding else float('nan'):.1f} s, its copy "
        f"grew {oldest:.1f} s old, {while_cut[-1][1]['strongroom_lag_records']:,.0f} records waited at last; "
        f"{len(by_old)} chunks were decided after {stale_after:g} s"
    )
    keys = {each.key for each in cut.revoked}
    meanwhile = [each for each in outcome.delays if each.key in keys]
    ours = [each for each in meanwhile if each.worker == cut.worker]
    others = [each for each in meanwhile if each.worker != cut.worker]
    print(row("the others meanwhile, since sent", [each.applied_since_sent for each in others]))
    spans = {each.key: each.span for each in cut.revoked}
    since_healed = [(spans[each.key].acknowledged - cut.healed) / MS + each.applied for each in ours]
    print(row(f"{cut.worker}: applied, since healed", since_healed), flush=True)
    findings = [f"{cut.worker} decided by an old copy: {each}" for each in by_old[:3]]
    if not holding or oldest < seconds - 2.0:
        findings.append(f"neither a hold nor an age of {oldest:.1f} s shows that {cut.worker} was cut off")
    if quantile([each.applied_since_sent for each in others], 1.0) > MAX:
        findings.append("the others were too slow meanwhile")
    return findings


if __name__ == "__main__":
    main()
