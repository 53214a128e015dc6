"""A unit goes whole or not at all, whoever dies on the way; with one certificate; and nothing else goes."""

import asyncio
import random

import pytest

from tests.unit.ledger.units import NOBODYS, replayed
from tests.unit.ledger.world import retry
from tests.unit.retention.making import NOW, unit, workspace
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, Killed, World, group
from topics.workspaces import WorkspaceState
from workers.by import By
from workers.errors import Fatal
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import Writer
from workers.ledger.unit_chain import Draft, append
from workers.ledger.unit_chain import head as chain_head
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.retention import dispose_entries, names
from workers.retention.certificate import disposed
from workers.retention.dispose import Outcome
from workers.retention.due import Unusable, Verdict
from workers.retention.holding import recall_all
from workers.retention.pending import Step
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyDisabled, KeyShredded
from workers.sealing.replicas import Replicas
from workers.sealing.rows import unit_row
from workers.sealing.withdraw import tombstone
from workers.store.faults import Fault

GONE, KEPT = unit(40), unit(10)
QUARANTINED = GONE._replace(clock=Clock.QUARANTINE)
STEPS = 200  # more than a disposal takes turns


async def world() -> World:
    """acme keeps for 30 days; one day of it is past that, in two objects, and one is not."""
    found = World({"acme": workspace(retention_days=30), "zoo": workspace("zoo", retention_days=90)})
    await found.commit(
        {group(GONE): [b'{"n":1}'] * 3, group(KEPT): [b"{}"] * 2, group(unit(40, "zoo")): [b"{}"] * 2}
    )
    await found.commit({group(GONE, Disposition.FLAGGED): [b"{}"] * 4})
    return found


async def others(found: World) -> list[tuple[str, str, bool]]:
    """All versions of both buckets, but those of the unit that is to go."""
    mine = f"data/ws={GONE.workspace}/src={GONE.source}/day={GONE.day}/"
    both = await found.contents(found.data) + await found.contents(found.replica)
    return [version for version in both if not version[0].startswith(mine)]


async def is_gone(found: World, certificates: int = 1, unit: Unit = GONE) -> None:
    keys = {stored.key for stored in found.objects(unit)}
    for store in (found.data, found.replica):
        assert not [version for version in await found.contents(store) if version[0] in keys]
    with pytest.raises(KeyShredded):
        await found.keystore().unit_key(unit, create=True)
    assert await found.pending(unit) is None
    issued = await found.certificates(unit)
    assert len(issued) == certificates
    assert [each for each in issued if each not in found.told] == []
    # written once: none replaced another
    assert len(await found.contents(found.ledger, names.certificates_of(unit))) == certificates
    head = await chain_head(found.ledger, unit, retry())
    assert [each.entry for each in issued] == [entry.key for entry in head.entries]
    assert sum(each.disposed.records for each in issued) == sum(
        stored.records for stored in found.objects(unit)
    )
    # whoever died before, in each bucket each object is accounted for
    for bucket in range(2):
        counted = [each.buckets[bucket] for each in issued]
        assert sum(each.versions + (each.absent or 0) for each in counted) == len(keys)
        assert None not in {each.absent for each in counted}


async def test_a_disposal_from_end_to_end() -> None:
    found = await world()
    before, objects = await others(found), found.objects(GONE)
    kept = [(stored, await found.data.get(stored.key)) for stored in objects]
    steps = await found.dispose(GONE)
    assert [each.outcome for each in steps] == [Outcome.DISABLED, Outcome.DESTROYED, Outcome.DONE]
    await is_gone(found)
    assert await others(found) == before
    for stored, got in kept:
        with pytest.raises(KeyShredded):
            await found.opens(stored, got.body, got.metadata)
    (certificate,) = await found.certificates(GONE)
    assert certificate.disposed == disposed(objects, 7)
    assert (certificate.reason, certificate.policy) == ("retention", {"workspaces": (4, 9)})
    assert certificate.key_disabled_at == NOW
    assert certificate.disposed_at == certificate.key_destroyed_at == NOW + DESTROY_AFTER
    assert certificate.verified_at == NOW + DESTROY_AFTER + SHRED_LATENCY
    counts = [(each.bucket, each.versions, each.absent) for each in certificate.buckets]
    assert counts == [("data", 2, 0), ("replica", 2, 0)]


async def test_until_it_is_destroyed_it_is_unreadable_and_all_there() -> None:
    found = await world()
    before = await found.contents(found.data)
    await found.disposer().advance(GONE)
    found.now += DESTROY_AFTER - 1
    assert (await found.disposer().advance(GONE)).outcome is Outcome.DISABLED
    with pytest.raises(KeyDisabled):
        await found.keystore().unit_key(GONE, create=True)
    assert await found.contents(found.data) == before
    assert not (await chain_head(found.ledger, GONE, retry())).entries


async def test_a_hold_that_leaves_no_mark_on_what_is_pending_is_seen_before_the_last_step() -> None:
    """As by `workspaces set --legal-hold`, after a worker has read the policy and found it due."""
    found = await world()
    await found.disposer().advance(GONE)
    found.now += DESTROY_AFTER

    class HeldMeanwhile(World):
        async def verdict(self, unit: Unit) -> Verdict:
            read = await super().verdict(unit)
            self.policy["acme"] = workspace(retention_days=30, legal_hold=True)
            return read

    found.__class__ = HeldMeanwhile
    assert (await found.disposer().advance(GONE)).outcome is Outcome.RECALLED
    assert not (await chain_head(found.ledger, GONE, retry())).entries
    await found.keystore().unit_key(GONE, create=False)


async def test_with_another_archives_keystore_nothing_is_deleted() -> None:
    found = await world()
    before = await found.contents(found.data)
    found.keys = found.bucket("other-keys")
    with pytest.raises(Fatal, match="the keystore no key of it"):
        await found.dispose(GONE)
    assert await found.contents(found.data) == before
    assert not await found.contents(found.keys, "")


async def test_an_entry_that_names_anothers_object_deletes_nothing() -> None:
    found = await world()
    before = await found.contents(found.data)
    (victim,) = found.objects(KEPT)
    draft = Draft(
        Kind.DISPOSE,
        "0" * 16,
        Writer("forger", "test"),
        By("forger", "host", "retention: forged", NOW),
        {},
        (Consumed(victim.key, None, victim.records),),
        {Became.DISPOSED: {"retention": victim.records}},
    )
    await append(found.ledger, await chain_head(found.ledger, GONE, retry()), draft, retry())
    with pytest.raises(Fatal, match="not of its unit"):
        await found.dispose(GONE)
    assert await found.contents(found.data) == before


@pytest.mark.parametrize("start", [0, 5])
async def test_killed_anywhere_another_worker_finishes(start: int) -> None:
    """Before and behind requests, in all steps: one worker dies there, another takes over."""
    for kill_at in range(start, STEPS, 8):
        found = await world()
        before = await others(found)
        found.kill_at = kill_at
        try:
            await found.dispose(GONE, found.disposer("killed"))
        except* Killed:
            found.kill_at = None
            await found.dispose(GONE, found.disposer("next"))
        else:
            assert kill_at > 100, "the disposal was over before the worker was killed at all"
            found.kill_at = None
        await is_gone(found)
        assert await others(found) == before


@pytest.mark.parametrize("seed", range(6))
async def test_workers_side_by_side_dispose_once(seed: int) -> None:
    found = await world()
    rng = random.Random(seed)
    before = await others(found)

    async def turn() -> None:
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)

    for store in (found.ledger, found.data, found.replica, found.keys):
        store._turn = turn
    await asyncio.gather(*(found.dispose(GONE, found.disposer(f"retain-{number}")) for number in range(3)))
    await is_gone(found)
    assert await others(found) == before


@pytest.mark.parametrize("start", [0, 5])
async def test_a_hold_at_any_moment_keeps_all_or_is_told_that_it_is_too_late(start: int) -> None:
    for at in range(start, STEPS, 8):
        found = await world()
        everything = await found.contents(found.data)
        held = asyncio.Event()
        turns = 0

        async def turn(at: int = at, held: asyncio.Event = held) -> None:
            nonlocal turns
            turns += 1
            if turns == at:
                held.set()
            await asyncio.sleep(0)

        async def hold(found: World = found, held: asyncio.Event = held) -> bool:
            """Whether the unit is saved, as the command says."""
            await held.wait()
            found.policy = {"acme": workspace(retention_days=30, legal_hold=True, seq=10)}
            rows = Replicas([found.keys], requests=8)
            recalled = await recall_all(found.ledger, rows, "acme", "ops", retry(), found.now)
            return not recalled.too_late and not await found.certificates(GONE)

        for store in (found.ledger, found.data, found.replica, found.keys):
            store._turn = turn
        holding = asyncio.create_task(hold())
        await found.dispose(GONE)
        held.set()
        saved = await holding
        await found.dispose(GONE)
        if saved:
            assert await found.contents(found.data) == everything
            assert await found.keystore().unit_key(GONE, create=True)
            assert await found.pending(GONE) is None
        else:
            await is_gone(found)


async def test_a_hold_within_the_wait_makes_it_readable_again() -> None:
    found = await world()
    (stored, *_) = found.objects(GONE)
    got = await found.data.get(stored.key)
    await found.disposer().advance(GONE)
    found.policy["acme"] = workspace(retention_days=30, legal_hold=True, seq=10)
    recalled = await recall_all(
        found.ledger, Replicas([found.keys], requests=8), "acme", "ops", retry(), found.now
    )
    assert (recalled.units, recalled.too_late) == ((GONE,), ())
    assert await found.opens(stored, got.body, got.metadata) == await found.opens(
        stored, got.body, got.metadata
    )
    found.now += 10 * DESTROY_AFTER
    assert (await found.disposer().advance(GONE)).outcome is Outcome.KEPT


async def test_a_longer_retention_within_the_wait_takes_it_back_too() -> None:
    found = await world()
    await found.disposer().advance(GONE)
    found.policy["acme"] = workspace(retention_days=300, seq=10)
    found.now += DESTROY_AFTER
    assert (await found.disposer().advance(GONE)).outcome is Outcome.RECALLED
    assert await found.keystore().unit_key(GONE, create=True)
    assert await found.pending(GONE) is None


@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("why", list(Unusable))
async def test_without_a_usable_policy_nothing_goes_on(steps: int, why: Unusable) -> None:
    found = await world()
    for _ in range(steps):
        found.now = (await found.disposer().advance(GONE)).until or found.now
    before, step = await found.contents(found.data), await found.pending(GONE)
    found.now += 10 * DESTROY_AFTER
    if why is Unusable.EMPTY:
        found.policy = {}
    else:
        found.unusable = why
    writes = [
        store.requests["put"] + store.requests["delete"] for store in (found.ledger, found.data, found.keys)
    ]
    assert (await found.disposer().advance(GONE)).outcome is Outcome.KEPT
    assert writes == [
        store.requests["put"] + store.requests["delete"] for store in (found.ledger, found.data, found.keys)
    ]
    assert await found.contents(found.data) == before
    assert await found.pending(GONE) is step


async def test_a_key_that_is_gone_already_needs_no_wait() -> None:
    found = await world()
    await tombstone(Replicas([found.keys], requests=8), [unit_row(GONE)], NOW - SHRED_LATENCY)
    steps = await found.dispose(GONE)
    assert [each.outcome for each in steps] == [Outcome.DONE]
    await is_gone(found)
    assert (await found.certificates(GONE))[0].key_disabled_at is None


async def test_bytes_that_are_gone_already_do_not_keep_the_key() -> None:
    found = await world()
    for store in (found.data, found.replica):
        await store.purge(
            [version async for version in store.versions("data/") if f"day={GONE.day}" in version.key]
        )
    await found.dispose(GONE)
    await is_gone(found)
    (certificate,) = await found.certificates(GONE)
    assert [(each.versions, each.absent) for each in certificate.buckets] == [(0, 2), (0, 2)]
    assert certificate.disposed.records == 7


async def test_what_was_committed_late_is_disposed_of_too() -> None:
    """A worker that had sealed before, and slept before its entry: its entry adds to the live set."""
    found = await world()
    keys = found.keystore()
    await keys.unit_key(GONE, create=True)  # cached, and never looked at again: its clock stands still
    await found.dispose(GONE)
    late = await found.commit({group(GONE): [b'{"late":1}']}, keys)
    assert (await found.data.get(late.objects[0].key)).body
    assert [each.outcome for each in await found.dispose(GONE)][-1] is Outcome.DONE
    await is_gone(found, certificates=2)


async def test_what_is_committed_while_the_caches_let_go_is_in_the_same_certificate_round() -> None:
    found = await world()
    keys = found.keystore()
    await keys.unit_key(GONE, create=True)
    disposer = found.disposer()
    found.now = (await disposer.advance(GONE)).until or 0
    assert (await disposer.advance(GONE)).outcome is Outcome.DESTROYED
    await found.commit({group(GONE): [b'{"late":1}']}, keys)
    found.now += SHRED_LATENCY
    assert (await disposer.advance(GONE)).certified == 2
    await is_gone(found, certificates=2)


async def test_a_worker_that_looks_at_its_keys_again_brings_nothing_back() -> None:
    found = await world()
    keys = found.keystore()
    await keys.unit_key(GONE, create=True)
    await found.dispose(GONE)
    before = await found.contents(found.data)
    found.uptime.now += 61  # as a worker does once a minute
    with pytest.raises(Exception, match=r"records wait for acme/web.*was shredded"):
        await found.commit({group(GONE): [b'{"late":1}']}, keys)
    assert await found.contents(found.data) == before
    assert (await found.disposer().advance(GONE)).outcome is Outcome.NOTHING


async def test_what_arrives_late_for_a_held_workspace_stays_where_it_is() -> None:
    found = await world()
    keys = found.keystore()
    await keys.unit_key(GONE, create=True)
    await found.dispose(GONE)
    found.policy["acme"] = workspace(retention_days=30, legal_hold=True, seq=10)
    late = await found.commit({group(GONE): [b'{"late":1}']}, keys)
    assert (await found.disposer().advance(GONE)).outcome is Outcome.KEPT
    assert (await found.data.get(late.objects[0].key)).body


async def test_clocks_of_a_day_go_apart_from_each_other() -> None:
    found = World({"acme": workspace(retention_days=90)})
    quarantined = Disposition.QUARANTINED
    await found.commit({group(GONE): [b"{}"], group(GONE, quarantined): [b"{}"] * 2})
    assert (await found.disposer().advance(GONE)).outcome is Outcome.KEPT
    await found.dispose(QUARANTINED)
    await is_gone(found, unit=QUARANTINED)
    (stored,) = found.objects(GONE)
    assert (await found.data.get(stored.key)).body
    assert await found.keystore().unit_key(GONE, create=False)


async def test_a_step_that_another_took_is_looked_at_again() -> None:
    found = await world()
    disposer = found.disposer()
    await disposer.advance(GONE)
    assert await found.pending(GONE) is Step.DISABLED
    assert await found.disposer("other").recall(GONE, "other") is Outcome.RECALLED
    assert (await disposer.advance(GONE)).outcome is Outcome.DISABLED  # from the beginning
    assert await disposer.recall(KEPT, "other") is Outcome.NOTHING


@pytest.mark.parametrize("bucket", ["data", "replica"])
async def test_what_a_bucket_keeps_is_never_certified_and_tried_again(bucket: str) -> None:
    found = await world()
    store = {"data": found.data, "replica": found.replica}[bucket]
    (kept, *_) = found.objects(GONE)
    rule = store.faults.add(Fault.KEPT, operation="delete", key=kept.key, times=None)
    for _ in range(2):
        steps = await found.dispose(GONE)
        assert steps[-1].outcome is Outcome.STUCK
        assert steps[-1].stuck is not None
        assert (steps[-1].stuck.bucket, steps[-1].stuck.versions) == (bucket, 1)
        assert kept.key in steps[-1].words
        assert not await found.certificates(GONE)
        with pytest.raises(KeyShredded):  # it stays, and nobody can read it
            await found.keystore().unit_key(GONE, create=False)
    store.faults.remove(rule)
    await found.dispose(GONE)
    await is_gone(found)


async def test_a_long_chain_that_feeds_a_day_is_read_once_for_all_of_its_units() -> None:
    found = World({"acme": workspace(state=WorkspaceState.CLOSED)})
    units = [unit(1, source=f"s{number}") for number in range(4)]
    assert {each.day for each in units} == {NOBODYS.day}
    await replayed(found.ledger, 500)
    await found.commit({group(each): [b"{}"] for each in units})
    disposer, costs = found.disposer(), []
    for each in units:
        found.ledger.requests.clear()
        assert (await found.dispose(each, disposer))[-1].outcome is Outcome.DONE
        costs.append(found.ledger.requests["get"])
    assert costs[0] > 500
    assert max(costs[1:]) < 50


async def test_a_unit_of_many_disposals_goes_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispose_entries, "AT_ONCE", 2)
    found = World({"acme": workspace(retention_days=30)})
    for _ in range(7):
        await found.commit({group(GONE): [b"{}"]})
    assert (await found.dispose(GONE))[-1].outcome is Outcome.DONE
    assert [each.disposed.objects for each in await found.certificates(GONE)] == [2, 2, 2, 1]
    assert [each.buckets[0].versions for each in await found.certificates(GONE)] == [2, 2, 2, 1]
    # the folder is listed to delete and to look again, not so for each disposal
    assert found.data.requests["versions"] == 2
    assert await found.contents(found.data) == []
