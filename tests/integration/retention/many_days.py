"""Days in a row: customers come and go, workers dispose and are killed; then it is looked what is there.

`python -m tests.integration.retention.many_days [--days 90] [--customers 50] [--seed N]` on a real server.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from tests.integration.retention.archive import (
    BEGUN,
    DAY,
    HOUR,
    MINUTE,
    RETRY,
    Archive,
    Buckets,
    Customer,
    Kept,
    customers,
    name_of,
    unit_of,
)
from tests.integration.retention.mortal import Killed, Life, Mortal
from tests.stack.s3 import S3
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock
from workers.ledger.entries import Writer
from workers.ledger.unit_chain import head as chain_head
from workers.ledger.unit_entries import Kind
from workers.ledger.verify import Verifier
from workers.retention import certificate, index_audit, names
from workers.retention.agent import Agent
from workers.retention.census import Registrar
from workers.retention.dispose import Disposer, Terms
from workers.retention.index import UnitIndex
from workers.retention.plan import Limits
from workers.retention.truth import Truth
from workers.roles.retain import Auditor, view_of
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyShredded
from workers.sealing.replicas import Replicas
from workers.store.port import Store
from workers.store.s3 import open_s3

TERMS = Terms(destroy_after=DAY, shred_latency=5 * MINUTE)
NO_BRAKES = Limits(workspace=1.0, fleet=1.0)
AFTER = 4  # days on which nothing comes, so that what is under way ends


@dataclass
class Found:
    """What a run left, counted."""

    units: int = 0
    gone: int = 0
    kept: int = 0
    certificates: int = 0
    records: int = 0  # disposed of
    killed: int = 0
    wrong: list[str] = field(default_factory=list)


class Workers:
    """`count` retain workers over one archive. Killed about once in `lives` requests, and started anew."""

    def __init__(self, archive: Archive, count: int, lives: int, rng: random.Random) -> None:
        self._archive = archive
        self._count = count
        self._lives = lives
        self._rng = rng
        self._agents: dict[int, Agent] = {}
        self.killed = 0

    async def work(self, *, mortal: bool = True) -> None:
        """Each plans, and works off its plan, beside the others, however often it is killed meanwhile."""
        await asyncio.gather(*(self._work(number, mortal) for number in range(self._count)))

    async def _work(self, number: int, mortal: bool) -> None:
        while True:
            if number not in self._agents or not mortal:
                self._agents[number] = self._agent(f"retain-{number}", self._lives if mortal else 0)
            agent = self._agents[number]
            try:
                planned = await agent.plan()
                units = sorted(planned.may_go)
                self._rng.shuffle(units)
                for unit in units:
                    await agent.advance(unit)
            except Killed:
                self.killed += 1
                del self._agents[number]  # with all that it knew
                continue
            if agent.failures:
                raise AssertionError(agent.failures)
            return

    def _agent(self, name: str, lives: int) -> Agent:
        life = Life(self._rng, lives)
        ledger, data, replica, keys = (Mortal(store, life) for store in self._archive.buckets)

        def now() -> int:
            return self._archive.now

        def view():  # type: ignore[no-untyped-def] # inferred
            return view_of(self._archive.spread.policy, stale=False)

        index = UnitIndex(ledger, RETRY, now)
        disposer = Disposer(
            ledger,
            [data, replica],
            Replicas([keys], requests=16),
            index,
            Truth(ledger, view, now, RETRY).verdict,
            TERMS,
            Writer(name, "test"),
            "host",
            RETRY,
            now,
            index.reaches,
            Auditor(self._archive.spread, "audit").tell,  # type: ignore[arg-type] # it only sends
        )
        return Agent(
            ledger,
            Registrar(ledger, index, RETRY, keeps=True),
            disposer,
            view,
            NO_BRAKES,
            RETRY,
            now,
            lambda: None,
        )


async def lived(archive: Archive, workers: Workers, days: int) -> None:
    for number in range(days + AFTER):
        archive.now = BEGUN + number * DAY + 30 * MINUTE
        await archive.change_policies(number)
        if number < days:
            await archive.commit_day(number)
        for at in (2 * HOUR, 3 * HOUR):  # a day's plan, and what the caches have let go by then
            archive.now = BEGUN + number * DAY + at
            await workers.work()
    for _ in range(2):
        archive.now += 10 * MINUTE
        await workers.work(mortal=False)


def wanted(customer: Customer | None, unit: Unit, end: int) -> bool | None:
    """Whether the unit must be gone at the end of day `end`; None where both would be right.

    Written from docs/retention.md, not from the code. Numbers are days.
    """
    day = next(number for number in range(end + 1) if name_of(number) == unit.day)
    due = _due(customer, unit, day)
    if due is None or due > end:
        return False
    held_on = None if customer is None else customer.held_on
    if held_on is not None and due + 1 > held_on:
        return False
    if held_on is not None and due + 2 > held_on:
        return None
    return True if due + 2 <= end else None


def _due(customer: Customer | None, unit: Unit, day: int) -> int | None:
    """The day on which a unit of `day` becomes due; None: never."""
    if customer is None:
        return day + 1 + (7 if unit.source == UNCLAIMED else 30)
    found = []
    if customer.days is not None:
        days = min(customer.days, 30) if unit.clock is Clock.QUARANTINE else customer.days
        found.append(max(day + 1 + days, customer.set_on + 1))
    if unit.clock is Clock.QUARANTINE:
        found.append(day + 1 + 30)
    if customer.closed_on is not None:
        found.append(customer.closed_on + 1)
    return min(found, default=None)


async def judged(archive: Archive, days: int) -> Found:
    """Holds every unit against what was wanted, byte by byte."""
    found = Found()
    by_unit: dict[Unit, list[Kept]] = defaultdict(list)
    for kept in archive.kept:
        by_unit[unit_of(kept.stored)].append(kept)
    named = {customer.name: customer for customer in archive.customers}
    certified = Counter(
        [place.unit async for place in certificate.issued(archive.buckets.ledger, RETRY, names.CERTIFICATES)]
    )
    versions = [await _versions(store) for store in (archive.buckets.data, archive.buckets.replica)]
    for unit, objects in sorted(by_unit.items()):
        found.units += 1
        must = wanted(None if unit.workspace == PLATFORM else named[unit.workspace], unit, days + AFTER - 1)
        there = [sum(versions_of.get(kept.stored.key, 0) for kept in objects) for versions_of in versions]
        gone = not any(there)
        if must is not None and gone is not must:
            found.wrong.append(f"{'/'.join(unit)} is {'gone' if gone else 'there'}")
        if gone:
            await _look_gone(archive, unit, objects, certified[unit], found)
        else:
            await _look_kept(archive, unit, objects, certified[unit], found)
    found.certificates = certified.total()
    if strangers := certified.keys() - by_unit.keys():
        found.wrong.append(f"certificates of units that there never were: {strangers}")
    if set(archive.spread.audited) != {each.name for each in await _all_certificates(archive)}:
        found.wrong.append("the audit topic does not have each certificate")
    report = await Verifier(archive.buckets.ledger, archive.buckets.data, RETRY).run()
    await index_audit.audit(archive.buckets.ledger, RETRY, report)
    found.wrong += [str(finding) for finding in report.findings]
    return found


async def _look_gone(
    archive: Archive, unit: Unit, objects: list[Kept], certificates: int, found: Found
) -> None:
    found.gone += 1
    name = "/".join(unit)
    for kept in objects:
        try:
            key = await archive.keystore().unit_key(unit, create=False)
            key.open(kept.body, kept.metadata, kept.stored.key)
            found.wrong.append(f"{name} can still be read by who has kept it")
        except KeyShredded:
            pass
    disposals = [
        entry
        for entry in (await chain_head(archive.buckets.ledger, unit, RETRY)).entries
        if entry.kind is Kind.DISPOSE
    ]
    records = sum(each.count for entry in disposals for each in entry.consumed)
    found.records += records
    if len(disposals) != certificates or certificates != 1:
        found.wrong.append(f"{name}: {len(disposals)} disposals, {certificates} certificates")
    if records != sum(kept.stored.records for kept in objects):
        found.wrong.append(f"{name}: {records} records disposed of")


async def _look_kept(
    archive: Archive, unit: Unit, objects: list[Kept], certificates: int, found: Found
) -> None:
    found.kept += 1
    name = "/".join(unit)
    if certificates:
        found.wrong.append(f"{name} is there, and certified to be gone")
    for kept in objects:
        for store in (archive.buckets.data, archive.buckets.replica):
            got = await store.get(kept.stored.key)
            if sha256(got.body).hexdigest() != kept.stored.sha256:
                found.wrong.append(f"{store.name}/{kept.stored.key} was changed")


async def _versions(store: Store) -> Counter[str]:
    """Versions and delete markers, by key."""
    return Counter([version.key async for version in store.versions("data/")])


async def _all_certificates(archive: Archive) -> list[certificate.Certificate]:
    return [each async for each in certificate.read_all(archive.buckets.ledger, RETRY, names.CERTIFICATES)]


@asynccontextmanager
async def buckets_on(server: S3) -> AsyncIterator[Buckets]:
    """Four fresh buckets with versions."""
    opened = [
        await open_s3(server.versioned_bucket(), endpoint=server.endpoint, region=server.region)
        for _ in range(4)
    ]
    try:
        yield Buckets(*opened)
    finally:
        for store in opened:
            await store.close()


async def run(server: S3, *, days: int, count: int, seed: int, workers: int = 2, lives: int = 400) -> Found:
    rng = random.Random(seed)
    async with buckets_on(server) as buckets:
        archive = Archive(buckets, customers(count, days, rng), rng)
        crew = Workers(archive, workers, lives, rng)
        await lived(archive, crew, days)
        found = await judged(archive, days)
        found.killed = crew.killed
        return found


def main() -> int:
    from tests.stack import ladder  # noqa: PLC0415 - for the command alone
    from tests.stack.s3 import s3_on  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--customers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    server = s3_on(ladder.s3())
    server.start()
    os.environ |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    try:
        begun = time.monotonic()
        found = asyncio.run(run(server, days=asked.days, count=asked.customers, seed=asked.seed))
        print(f"seed {asked.seed}: {time.monotonic() - begun:.0f} s")
        print(
            f"{found.units} units: {found.gone} gone, {found.kept} kept; {found.certificates} certificates, "
            f"{found.records} records disposed of; workers killed {found.killed} times"
        )
        for each in found.wrong[:50]:
            print(f"WRONG: {each}")
        return int(bool(found.wrong))
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
