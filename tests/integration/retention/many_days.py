"""Days in a row: customers change their minds, workers dispose and are killed; then it is looked.

`python -m tests.integration.retention.many_days [--days 90] [--customers 50] [--seed N]` on a real server.
A seed draws customers, what they want and when, and after how many requests each worker is killed; what
else is on its way then, and how the workers meet, is the machine's.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from tests.integration.retention.archive import BEGUN, Archive, Buckets
from tests.integration.retention.child import Hired
from tests.integration.retention.crew import Crew
from tests.integration.retention.judging import Found, judged
from tests.integration.retention.record import DAY, HOUR, MINUTE, Stage
from tests.integration.retention.wishes import FEWEST, Customer, Wish, customers
from tests.stack.s3 import S3
from workers.store.s3 import open_s3

WORKERS = 2
AFTER = 4  # days on which nothing comes, so that what is under way ends
ROUNDS = (2 * HOUR, 3 * HOUR + 30 * MINUTE)  # a day's plan, and what the caches have let go by then


@dataclass
class Run:
    """What is known of a run so far; `found` once it was looked."""

    days: int
    customers: int
    seed: int
    lived: int = 0  # days
    killed: int = 0
    wishes: int = 0
    recalled: int = 0
    too_late: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)  # by what they went on
    found: Found | None = None
    ended_by: str = ""


class Days:
    def __init__(self, archive: Archive, crew: Crew, run: Run, rng: random.Random) -> None:
        self._archive = archive
        self._crew = crew
        self._run = run
        self._rng = rng
        self._begun = time.monotonic()

    async def live(self, tell: Callable[[str], None]) -> None:
        await self._archive.set_up()
        for number in range(self._run.days + AFTER):
            await self._day(number)
            self._run.lived += 1
            tell(self._progress())
        for _ in range(2):
            self._archive.now += 10 * MINUTE
            await self._work([], mortal=False)
        self._count()

    async def _day(self, number: int) -> None:
        archive, begun = self._archive, time.monotonic()
        archive.now = BEGUN + number * DAY + 30 * MINUTE
        for customer, wish in archive.wanted_on(number, racing=False):
            await archive.grant(customer, wish)
        if number < self._run.days:
            await archive.commit_day(number)
        self._run.seconds["commits"] += int((time.monotonic() - begun) * 1000)
        for at, racing in zip(ROUNDS, (archive.wanted_on(number, racing=True), []), strict=True):
            archive.now = BEGUN + number * DAY + at
            await self._work(racing)

    async def _work(self, racing: list[tuple[Customer, Wish]], *, mortal: bool = True) -> None:
        """The workers go through, and meanwhile customers change their minds."""
        begun, now, record = time.monotonic(), self._archive.now, self._archive.record
        busy = sum(
            any(state.stage is not Stage.GONE for state in states) and record.due(lot, now)
            for lot, states in record.states.items()
        )
        working = asyncio.create_task(self._crew.work(now, mortal=mortal))
        try:
            for (customer, wish), steps in zip(
                racing, sorted(self._rng.randrange(busy + busy // 5 + 1) for _ in racing), strict=True
            ):
                await self._stepped(working, steps)
                await self._archive.grant(customer, wish)
            await working
        finally:
            working.cancel()
        record.worked(now)
        self._run.seconds["workers"] += int((time.monotonic() - begun) * 1000)
        self._count()

    async def _stepped(self, working: "asyncio.Task[None]", steps: int) -> None:
        """Returns once the workers have taken so many steps, or are through."""

        async def reached() -> None:
            async with self._crew.stepped:
                await self._crew.stepped.wait_for(lambda: self._crew.steps >= steps)

        waiting = asyncio.create_task(reached())
        await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    def _count(self) -> None:
        run, archive = self._run, self._archive
        run.killed, run.asked, run.outcomes = self._crew.killed, self._crew.asked, self._crew.outcomes
        run.wishes, run.recalled, run.too_late = archive.wishes, archive.recalled, archive.too_late

    def _progress(self) -> str:
        run = self._run
        stages = Counter(
            max(state.stage for state in states) if len(states) == 1 else "either"
            for states in self._archive.record.states.values()
        )
        return (
            f"day {run.lived}/{run.days + AFTER}, {time.monotonic() - self._begun:.0f} s: "
            f"{sum(stages.values())} units, {stages[Stage.GONE]} gone, {stages[Stage.DISABLED]} disabled; "
            f"{run.killed} kills, {run.asked.total()} requests, {run.wishes} changes, {run.recalled} recalled"
        )


@asynccontextmanager
async def buckets_on(server: S3) -> AsyncIterator[tuple[Buckets, tuple[str, ...]]]:
    """Four fresh buckets with versions, and their names."""
    names = tuple(server.versioned_bucket() for _ in range(4))
    opened = [await open_s3(name, endpoint=server.endpoint, region=server.region) for name in names]
    try:
        yield Buckets(*opened), names
    finally:
        for store in opened:
            await store.close()


async def go(server: S3, run: Run, *, lives: int, tell: Callable[[str], None] = lambda line: None) -> None:
    """Fills `run`, as far as it gets."""
    rng = random.Random(run.seed)
    async with buckets_on(server) as (buckets, names):
        archive = Archive(buckets, customers(run.customers, run.days, rng), rng)
        hired = [
            Hired(
                f"retain-{number}",
                server.endpoint,
                server.region,
                (server.access_key, server.secret_key),
                names,
            )
            for number in range(WORKERS)
        ]
        crew = Crew(hired, lives, run.seed, archive.spread.known)
        archive.spread.follow = crew.spread
        try:
            await Days(archive, crew, run, random.Random(f"{run.seed}/moments")).live(tell)
        finally:
            crew.close()
        begun = time.monotonic()
        run.found = await judged(archive, server, crew.audited)
        if not run.killed:
            run.found.wrong.append("proves nothing: no worker was killed")
        run.seconds["looking"] += int((time.monotonic() - begun) * 1000)


def told(run: Run, command: str) -> str:
    """Lines for docs/evidence/retention.md."""
    spent = ", ".join(f"{what} {ms / 1000:.0f} s" for what, ms in run.seconds.items())
    lines = [
        f"`{command}`: {run.lived} days ({AFTER} without records), {run.customers} customers; {spent}.",
        "",
        f"- Workers killed by SIGKILL: {run.killed}. Changes of policy: {run.wishes}; they took back "
        f"{run.recalled} disposals, and were told of {run.too_late} that it was too late.",
        "- Requests: " + ", ".join(f"{kind} {count:,}" for kind, count in run.asked.most_common()) + ".",
        "- Steps: " + ", ".join(f"{kind} {count:,}" for kind, count in run.outcomes.most_common()) + ".",
    ]
    if run.found is not None:
        found = run.found
        lines += [
            f"- {found.units:,} units: {found.gone:,} gone, {found.kept:,} kept with {found.objects:,} "
            f"objects; {found.undecided} of which either would be right; {found.certificates:,} "
            f"certificates, {found.records:,} records disposed of.",
            "- Due by their term, and kept then: "
            + ", ".join(
                f"{case} {gone + kept:,} ({gone:,} went later, {kept:,} stayed)"
                for case, (gone, kept) in found.cases.items()
            )
            + ".",
            f"- Who had kept bodies, metadata and wrapped keys was refused {found.refused:,} times.",
            f"- Wrong: {len(found.wrong)}.",
            *(f"  - {each}" for each in found.wrong[:50]),
        ]
    if run.ended_by:
        lines.append(f"- Ended before its end by {run.ended_by}")
    return "\n".join(lines) + "\n"


def main() -> int:
    from tests.stack import ladder  # noqa: PLC0415 - for the command alone
    from tests.stack.s3 import s3_on  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--customers", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--lives", type=int, default=1000, help="requests between two kills of a worker")
    parser.add_argument("--result", type=Path, default=ladder.STACK / "retention-days.txt")
    asked = parser.parse_args()
    if min(asked.days, asked.customers) < FEWEST:
        parser.error(f"a run proves nothing on fewer than {FEWEST} days and {FEWEST} customers")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    server = s3_on(ladder.s3())
    server.start()
    os.environ |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    run = Run(asked.days, asked.customers, asked.seed)
    try:
        asyncio.run(go(server, run, lives=asked.lives, tell=lambda line: print(line, flush=True)))
    except BaseException as error:
        run.ended_by = repr(error)[:2000]
        raise
    finally:
        command = f"make retention-days DAYS={run.days} CUSTOMERS={run.customers} SEED={run.seed}"
        asked.result.write_text(told(run, command))
        print(f"{told(run, command)}written to {asked.result}", flush=True)
        server.close()
    return int(bool(run.found is None or run.found.wrong))


if __name__ == "__main__":
    sys.exit(main())
