"""A hold against a worker that sleeps, and dies, at any request: the key ends enabled, or it is too late."""

import asyncio

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import Killed, World, group
from workers.by import By
from workers.errors import Fatal
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import Writer
from workers.ledger.unit_chain import Draft, append
from workers.ledger.unit_chain import head as chain_head
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.retention import pending
from workers.retention.dispose import Outcome
from workers.retention.holding import recall_all
from workers.retention.pending import Step
from workers.sealing.refusals import KeyShredded
from workers.sealing.replicas import Replicas
from workers.sealing.rows import State, unit_row
from workers.sealing.withdraw import disable_at, enable_past

UNIT = unit(40)
QUARANTINED = UNIT._replace(clock=Clock.QUARANTINE)


async def world() -> World:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT): [b"{}"] * 3})
    return found


async def hold(found: World) -> bool:
    """Whether the unit is saved, as the command says."""
    found.policy = {"acme": workspace(retention_days=30, legal_hold=True, seq=10)}
    recalled = await recall_all(found.ledger, rows_of(found), "acme", "ops", retry(), found.now)
    return not recalled.too_late


def rows_of(found: World) -> Replicas:
    return Replicas([found.keys], requests=8)


async def sleeping(found: World, at: int, dies_after: int | None) -> bool:
    """The worker sleeps at its turn `at` while all of a hold happens, and dies so many turns later.

    False where it had ended before it slept.
    """
    asleep, awake = asyncio.Event(), asyncio.Event()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        if holding:
            return
        if turns == at:
            asleep.set()
            await awake.wait()
        if dies_after is not None and turns >= at + dies_after:
            raise Killed
        turns += 1

    holding = False
    stores = (found.ledger, found.data, found.replica, found.keys)
    for store in stores:
        store._turn = turn
    worker = asyncio.ensure_future(found.disposer("sleeper").advance(UNIT))
    waits = asyncio.ensure_future(asleep.wait())
    await asyncio.wait({worker, waits}, return_when=asyncio.FIRST_COMPLETED)
    if not asleep.is_set():
        waits.cancel()
        return False
    holding = True
    saved = await hold(found)
    holding = False
    awake.set()
    await asyncio.gather(worker, return_exceptions=True)
    for store in stores:
        store._turn = found.turn
    assert saved, "no wait is over: nothing can be too late"
    return True


@pytest.mark.parametrize("dies_after", [None, 1, 3, 5])
async def test_a_disabling_that_comes_after_the_hold_leaves_no_key_disabled(dies_after: int | None) -> None:
    at = 0
    while True:
        found = await world()
        if not await sleeping(found, at, dies_after):
            break
        # whoever looks at what stands next: at most once, for nobody may look at all where nothing stands
        if await found.pending(UNIT) is not None:
            await found.disposer("next").advance(UNIT)
        assert await found.pending(UNIT) is None
        assert await found.keystore().unit_key(UNIT, create=False)
        at += 1
    assert at > 20


async def test_a_key_is_disabled_as_it_was_read_or_not_at_all() -> None:
    found = await world()
    rows, name = rows_of(found), unit_row(UNIT)
    row = await rows.settled(name)
    assert row is not None
    await enable_past(rows, name, found.now)
    assert not await disable_at(rows, name, row.revision, found.now)
    again = await rows.settled(name)
    assert again is not None
    assert again.state is State.ACTIVE
    assert await disable_at(rows, name, again.revision, found.now)
    assert await disable_at(rows, name, again.revision, found.now)  # the answer was lost
    await enable_past(rows, name, found.now)
    assert await found.keystore().unit_key(UNIT, create=False)


async def test_a_key_that_was_rotated_after_the_beginning_is_disabled_all_the_same() -> None:
    found = await world()
    await enable_past(rows_of(found), unit_row(UNIT), found.now)  # any change of the row
    assert (await found.disposer().advance(UNIT)).outcome is Outcome.DISABLED
    row = await rows_of(found).settled(unit_row(UNIT))
    assert row is not None
    assert row.state is State.DISABLED


def entry_of(found: World, kind: Kind, became: Became, clock: Clock = Clock.MAIN) -> Draft:
    (stored,) = found.objects(UNIT._replace(clock=clock))
    return Draft(
        kind,
        "0" * 16,
        Writer("ops", "test"),
        By("ops", "host", "retention: by hand", found.now),
        {},
        (Consumed(stored.key, None, stored.records),),
        {became: {"retention": stored.records}},
    )


async def test_a_dispose_entry_alone_is_no_leave_to_go_on() -> None:
    """Forged, or left by a program that knew no better: neither a hold nor the wait is passed by it."""
    found = await world()
    draft = entry_of(found, Kind.DISPOSE, Became.DISPOSED)
    await append(found.ledger, await chain_head(found.ledger, UNIT, retry()), draft, retry())
    before = await found.contents(found.data)
    found.policy = {"acme": workspace(retention_days=30, legal_hold=True)}
    assert (await found.disposer().advance(UNIT)).outcome is Outcome.KEPT
    assert await found.keystore().unit_key(UNIT, create=False)
    found.policy = {"acme": workspace(retention_days=30)}
    for _ in range(2):  # it begins, and then it waits
        assert (await found.disposer().advance(UNIT)).outcome is Outcome.DISABLED
    assert await found.contents(found.data) == before
    assert (await found.dispose(UNIT))[-1].outcome is Outcome.DONE
    assert len(await found.certificates(UNIT)) == 1


async def test_a_certificate_has_the_words_by_which_it_was_decided() -> None:
    found = await world()
    for _ in range(2):
        found.now = (await found.disposer().advance(UNIT)).until or found.now
    assert await found.pending(UNIT) is Step.DISPOSING
    assert not await hold(found)
    found.now += 1
    assert (await found.dispose(UNIT))[-1].outcome is Outcome.DONE
    (issued,) = await found.certificates(UNIT)
    assert "are kept for 30 days" in issued.words
    assert (issued.reason, issued.policy) == ("retention", {"workspaces": (4, 9)})


@pytest.mark.parametrize("step", [Step.DISABLED, Step.DISPOSING])
async def test_what_is_discarded_while_its_key_is_disabled_goes_all_the_same(step: Step) -> None:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT, Disposition.QUARANTINED): [b"{}"] * 2})
    found.now = (await found.disposer().advance(QUARANTINED)).until or found.now
    stood = await pending.read(found.ledger, QUARANTINED, retry())
    assert stood is not None
    assert stood.pending.step is Step.DISABLED
    if step is Step.DISPOSING:  # whoever took that step died, before its entry
        following = msgspec.structs.replace(stood.pending, step=step)
        await pending.step(found.ledger, stood, following, retry())
    draft = entry_of(found, Kind.DISCARD, Became.DISCARDED, Clock.QUARANTINE)
    await append(found.ledger, await chain_head(found.ledger, QUARANTINED, retry()), draft, retry())
    assert (await found.dispose(QUARANTINED))[-1].outcome is Outcome.DONE
    assert await found.pending(QUARANTINED) is None
    assert await found.contents(found.data) == []
    with pytest.raises(KeyShredded):
        await found.keystore().unit_key(QUARANTINED, create=True)
    (issued,) = await found.certificates(QUARANTINED)
    assert (issued.disposed.objects, issued.disposed.records) == (1, 0)
    assert (await found.disposer().advance(QUARANTINED)).outcome is Outcome.NOTHING


async def test_with_a_replica_less_than_it_was_begun_with_nothing_is_certified() -> None:
    found = await world()
    for _ in range(2):
        found.now = (await found.disposer().advance(UNIT)).until or found.now
    both = await found.contents(found.replica)
    without = found.disposer("without", [found.data])
    with pytest.raises(Fatal, match="begun for replica too"):
        await found.dispose(UNIT, without)
    assert await found.contents(found.replica) == both
    assert not await found.certificates(UNIT)
    assert (await found.dispose(UNIT))[-1].outcome is Outcome.DONE
    (issued,) = await found.certificates(UNIT)
    assert [(each.bucket, each.versions) for each in issued.buckets] == [("data", 1), ("replica", 1)]
