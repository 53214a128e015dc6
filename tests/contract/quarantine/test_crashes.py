"""Releases that are killed, or come when the day is disposed of: no record is lost, none is there twice."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.contract.quarantine.world import ANN, WANTED, copied
from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import Killed, World, group
from topics.workspaces import Workspace
from workers.errors import StrongroomError
from workers.intake.dispositions import Clock, Disposition
from workers.intake.key_states import Refused
from workers.ledger import live
from workers.ledger.entries import Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.pack import Compression, Packer
from workers.ledger.quarantine import Moved, Quarantine
from workers.ledger.read import open_object
from workers.ledger.unit_chain import head
from workers.ledger.unit_entries import Became
from workers.ledger.upload import Upload
from workers.retention.dispose import Outcome
from workers.sealing.keys import Unit

SITE = unit(40)  # past the quarantine's 30 days, and kept for ever otherwise
QUARANTINE = SITE._replace(clock=Clock.QUARANTINE)
STEPS = 200  # more than a release has requests


async def world(**terms: Any) -> World:
    """Three objects of copies in one day's quarantine, five records of WANTED in two of them."""
    found = World({"acme": workspace(**terms)})
    into = group(QUARANTINE, Disposition.QUARANTINED)
    for lines in (copied("a", "b", "c"), copied("o", host="other.example"), copied("d", "e")):
        await found.commit({into: lines})
    return found


def person(found: World) -> Quarantine:
    keys = found.keystore()
    flusher = Flusher(
        data=found.data,
        ledger=found.ledger,
        keys=keys,
        packer=Packer(Compression.ZSTD, 1),
        writer=Writer("desk", "test"),
        retry=retry(),
        threads=ThreadPoolExecutor(1),
        uploads=Uploads(4),
        now=lambda: found.now,
    )

    async def account() -> Workspace:
        await asyncio.sleep(0)
        return found.policy["acme"]

    return Quarantine(keys, flusher, account)


async def released(found: World) -> Moved:
    return await person(found).release(QUARANTINE, WANTED, Disposition.ACCEPTED, ANN)


async def ids(found: World, of: Unit) -> Counter[str]:
    objects = IntakeObjects(found.ledger, found.data, retry())
    there = [each async for each in objects.of(of)]
    names: Counter[str] = Counter()
    for each in (await live.unit(found.ledger, of, there, retry())).objects.values():
        lines = await open_object(found.data, found.keystore(), each.stored, retry())
        for first, last in each.lines:
            names.update(json.loads(line)["event"]["messageId"] for line in lines[first : last + 1])
    return names


async def test_a_release_that_is_killed_at_any_request_is_completed_by_another() -> None:
    left = 0
    for at in range(STEPS):
        found = await world()
        found.kill_at = at
        try:
            await released(found)
        except* Killed:
            pass
        else:
            break
        found.kill_at = None
        left += bool(await ids(found, SITE))
        await released(found)
        assert await ids(found, SITE) == Counter("abcde"), at
        assert await ids(found, QUARANTINE) == Counter("o"), at
    else:
        pytest.fail(f"it was killed {STEPS} times")
    assert at > 10
    assert left  # of some the entry was there, and the second had nothing to do


@pytest.mark.parametrize("seed", range(12))
async def test_a_release_and_a_disposal_of_the_day_race_and_each_record_goes_one_way(seed: int) -> None:
    found = await world()
    chance = random.Random(seed)

    async def release() -> int:
        """As long as the day can be read."""
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        try:
            return (await released(found)).records
        except StrongroomError:
            return 0

    moved, steps = await asyncio.gather(release(), found.dispose(QUARANTINE))
    assert steps[-1].outcome is Outcome.DONE
    kept = await ids(found, SITE)
    assert kept == (Counter("abcde") if moved else Counter())
    entries = (await head(found.ledger, QUARANTINE, retry())).entries
    disposed = sum(sum(entry.counts.get(Became.DISPOSED, {}).values()) for entry in entries)
    assert disposed + kept.total() == 6
    assert (await released(found)).records == 0  # what is gone is gone


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_wants_and_whoever_dies_each_record_goes_one_way(seed: int) -> None:
    """Releases and discards of two hosts, by people of whom some die at a request that the seed draws."""
    found, chance = await world(), random.Random(seed)
    other = WANTED._replace(host="other.example")

    async def somebody() -> int:
        wanted, discards = chance.choice([WANTED, WANTED, other]), chance.random() < 0.3
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
        if discards:
            return (await person(found).discard(QUARANTINE, wanted, ANN)).records
        return (await person(found).release(QUARANTINE, wanted, Disposition.FLAGGED, ANN)).records

    for _ in range(3):
        people = [asyncio.create_task(somebody()) for _ in range(3)]
        for _ in range(chance.randrange(200)):
            await asyncio.sleep(0)
        chance.choice(people).cancel()  # at whatever it waits for: nothing of it runs any more
        await asyncio.gather(*people, return_exceptions=True)
        assert [task for task in people if not task.cancelled() and task.exception()] == []
    entries = (await head(found.ledger, QUARANTINE, retry())).entries
    discarded = sum(sum(entry.counts.get(Became.DISCARDED, {}).values()) for entry in entries)
    here, there = await ids(found, QUARANTINE), await ids(found, SITE)
    assert max((here + there).values(), default=1) == 1
    assert (here + there).total() + discarded == 6
    assert sum(stored.records for entry in entries for stored in entry.outputs) == there.total()


async def test_both_ends_of_that_race_are_seen() -> None:
    """A release before the key is disabled gets its records, and one that comes after finds none."""
    early, late = await world(), await world()
    assert (await released(early)).records == 5
    await early.dispose(QUARANTINE)
    assert await ids(early, SITE) == Counter("abcde")
    await late.disposer().advance(QUARANTINE)
    found = await released(late)
    assert (found.records, len(found.broken)) == (0, 3)


async def test_a_release_that_sleeps_over_the_disposal_commits_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await world()
    check = Flusher.check

    async def overslept(flusher: Flusher, uploads: Sequence[Upload]) -> None:
        monkeypatch.setattr(Flusher, "check", check)
        await found.dispose(QUARANTINE)
        await check(flusher, uploads)

    monkeypatch.setattr(Flusher, "check", overslept)
    moved = await released(found)
    assert (moved.records, moved.entries) == (0, 0)
    assert await ids(found, SITE) == Counter()
    assert [entry.kind for entry in (await head(found.ledger, QUARANTINE, retry())).entries] == ["dispose"]


async def test_a_day_past_its_retention_gets_nothing_back() -> None:
    found = await world(retention_days=30)
    with pytest.raises(Refused, match="past its retention"):
        await released(found)
    assert await ids(found, QUARANTINE) == Counter("abcdeo")
