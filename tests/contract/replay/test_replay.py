"""Replays in the cases that a store does not see: crashes and faults, times, what policy says meanwhile."""

import asyncio
from collections import Counter

import pytest
import structlog

from tests.contract.replay.world import SITE, UNCLAIMED, World, events
from tests.unit.intake.making import DAY, NOW, TODAY, key_record, workspace_record
from tests.unit.ledger.world import MarkingKey, MarkingKeys
from topics.workspaces import WorkspaceState
from topics.write_keys import KeyState
from workers.intake import decider
from workers.intake.dispositions import Clock, Decision
from workers.intake.facts import Facts
from workers.intake.rules import decide
from workers.ledger import replay, replay_plan, unit_chain
from workers.ledger.flush import Flusher
from workers.ledger.replay_plan import OWNERS_MAX, appended_by
from workers.ledger.unclaimed import Holding, days, hashed, unclaimed_unit
from workers.ledger.unit_entries import Became
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyDisabled, KeyShredded, Refused
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import Unavailable

MIDNIGHT = NOW - NOW % DAY


@pytest.fixture
def world() -> World:
    return World(MemoryStore())


@pytest.fixture
def store(world: World) -> MemoryStore:
    assert isinstance(world.store, MemoryStore)
    return world.store


@pytest.mark.parametrize("key", ["data/*from=*", "units/*"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOST_RESPONSE,
        Fault.OWN_WRITE_REFUSED,
        Fault.LATE_WRITE,
        Fault.TIMED_OUT,
        Fault.CONFLICT,
        Fault.SLOW_DOWN,
        Fault.DENIED,
    ],
)
async def test_what_may_pass_at_any_step_changes_nothing(
    world: World, store: MemoryStore, key: str, fault: Fault
) -> None:
    await world.archive([*events("newer", "a", "b"), *events("strange", "c")])
    world.register(key_record("newer"))
    rule = store.faults.add(fault, operation="put", key=key, times=2, lands_after=1)
    assert (await world.steward().run_pass()).entries == 1
    assert rule.hits
    store.land_late_writes()
    assert await world.ids(SITE) == Counter("ab")
    assert await world.ids(UNCLAIMED) == Counter("c")


@pytest.mark.parametrize("step", ["upload", "check", "append"])
@pytest.mark.parametrize("done", [False, True])
async def test_a_steward_that_dies_at_any_step_is_followed_by_another(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    await world.archive([*events("newer", "a", "b"), *events("strange", "c")])
    world.register(key_record("newer"))
    where = unit_chain if step == "append" else Flusher
    real = getattr(where, step)

    async def dies(*args: object) -> object:
        if done:
            await real(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(where, step, dies)
        with pytest.raises(KeyboardInterrupt):
            await world.steward().run_pass()
    committed = step == "append" and done
    assert len(await world.entries()) == int(committed)
    assert (await world.steward().run_pass()).entries == int(not committed)
    assert await world.ids(SITE) == Counter("ab")
    assert await world.ids(UNCLAIMED) == Counter("c")


async def test_an_entry_in_our_place_is_read_and_the_plan_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.archive([*events("newer", "a"), *events("other", "b")])
    world.register(key_record("newer"))
    late, other, check = world.steward(), world.steward(), Flusher.check

    async def overtaken(flusher: Flusher, uploads: object) -> None:
        monkeypatch.setattr(Flusher, "check", check)
        assert (await other.run_pass()).entries == 1
        world.register(key_record("other"))

    monkeypatch.setattr(Flusher, "check", overtaken)
    found = await late.run_pass()
    assert found.replayed == {(Became.ACCEPTED, "accepted"): 1}  # of `other`: all else was taken
    assert await world.ids(SITE) == Counter("ab")
    assert [entry.seq for entry in await world.entries()] == [1, 2]


@pytest.mark.parametrize(
    ("key", "account", "became"),
    [
        (key_record("newer", KeyState.REVOKED, seq=2), (), (Became.REJECTED, "revoked_key")),
        (
            key_record("newer", KeyState.ABUSED, workspace="gone", seq=2),
            (),
            (Became.REJECTED, "abused_key"),
        ),
        (
            key_record("newer", workspace="shut"),
            (workspace_record("shut", state=WorkspaceState.CLOSED),),
            (Became.REJECTED, "closed_workspace"),
        ),
    ],
)
async def test_what_intake_would_refuse_is_consumed_as_refused(
    world: World, key: bytes, account: tuple[bytes, ...], became: tuple[Became, str]
) -> None:
    await world.archive(events("newer", "a", "b"))
    world.register(key, workspaces=account)
    found = await world.steward().run_pass()
    assert found.replayed == {became: 2}
    assert await world.ids(UNCLAIMED) == await world.ids(SITE) == Counter()
    [entry] = await world.entries()
    assert entry.outputs == ()


@pytest.mark.parametrize(("until", "reason"), [(NOW + 5001, "accepted"), (NOW + 5000, "expired_key")])
async def test_a_retiring_key_is_judged_by_the_commit_of_the_batch(
    world: World, until: int, reason: str
) -> None:
    await world.archive(events("newer", "a"), at=NOW, committed_at=NOW + 5000)
    world.register(key_record("newer", KeyState.RETIRING, until=until))
    world.now = NOW + DAY
    [(_, told)] = (await world.steward().run_pass()).replayed
    assert told == reason


@pytest.mark.parametrize(
    ("committed_at", "time"),
    [
        (MIDNIGHT + 5, MIDNIGHT + 5),
        (MIDNIGHT + DAY - 1, MIDNIGHT + DAY - 1),
        (MIDNIGHT + DAY, MIDNIGHT + DAY - 1),
        (MIDNIGHT - 1, MIDNIGHT),  # of a worker whose clock is late
        (None, MIDNIGHT + DAY - 1),
    ],
)
def test_records_are_decided_within_their_day(committed_at: int | None, time: int) -> None:
    assert appended_by(TODAY, committed_at) == time


async def test_a_stale_policy_replays_nothing_and_forgets_nothing(world: World) -> None:
    await world.archive(events("newer", "a"))
    steward = world.steward()
    world.stale = True
    world.register(key_record("newer"))
    found = await steward.run_pass()
    assert (found.entries, found.due) == (0, 1)
    world.stale = False
    assert (await steward.run_pass()).entries == 1


async def test_policy_that_grows_stale_on_the_way_replays_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.archive(events("newer", "a"))
    world.register(key_record("newer"))
    steward = world.steward()
    opening = steward._open

    async def slow(*args: object) -> object:
        opened = await opening(*args)  # type: ignore[arg-type]  # as they came
        world.stale = True
        return opened

    monkeypatch.setattr(steward, "_open", slow)
    assert (await steward.run_pass()).entries == 0


async def test_a_key_waits_for_its_workspace(world: World) -> None:
    late = Unit("late", "site", TODAY, Clock.MAIN)
    await world.archive([*events("newer", "a"), *events("strange", "b")])
    steward = world.steward()
    await steward.run_pass()
    world.register(key_record("newer", workspace="late"))
    assert (await steward.run_pass()).entries == (await world.steward().run_pass()).entries == 0
    fresh = world.steward()
    await fresh.run_pass()
    world.register(workspaces=[workspace_record("late")])
    assert (await steward.run_pass()).entries == 1
    assert (await fresh.run_pass()).entries == 0
    assert await world.ids(late) == Counter("a")


async def test_one_that_started_late_finds_what_waited_for_a_workspace(world: World) -> None:
    await world.archive(events("newer", "a"))
    world.register(key_record("newer", workspace="late"))
    steward = world.steward()
    await steward.run_pass()
    world.register(workspaces=[workspace_record("late")])
    assert (await steward.run_pass()).entries == 1


async def test_days_are_kept_apart_and_those_that_are_over_left_alone(world: World) -> None:
    for back in (0, 1, 7, 8):
        await world.archive(events("newer", f"m{back}"), at=NOW - back * DAY)
    world.register(key_record("newer"))
    assert (await world.steward().run_pass()).entries == 3
    for back, day in enumerate(reversed(days(NOW))):
        expected = Counter([f"m{back}"]) if back in (0, 1, 7) else Counter()
        assert await world.ids(SITE._replace(day=day)) == expected
    assert await world.ids(unclaimed_unit("2026-11-18")) == Counter(["m8"])


async def test_flagged_and_accepted_go_into_objects_of_their_own(world: World) -> None:
    copy = [
        value.replace(b'"v": 1', b'"v": 1, "origin": "https://copy.example"') for value in events("k", "b")
    ]
    await world.archive([*events("k", "a"), *copy])
    world.register(key_record("k"), workspaces=[workspace_record(allowed=["shop.example"], seq=2)])
    found = await world.steward().run_pass()
    assert found.replayed == {(Became.ACCEPTED, "accepted"): 1, (Became.FLAGGED, "foreign_origin"): 1}
    [entry] = await world.entries()
    assert sorted(each.disposition for each in entry.outputs) == ["accepted", "flagged"]


async def test_what_one_entry_consumes_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "INPUT_BYTES", 1)
    for number in range(3):
        await world.archive(events("newer", f"m{number}"))
    world.register(key_record("newer"))
    assert (await world.steward().run_pass()).entries == 3
    assert await world.ids(SITE) == Counter(f"m{number}" for number in range(3))


async def test_the_owners_of_one_entry_are_bounded(world: World) -> None:
    many = OWNERS_MAX + 10
    await world.archive([value for number in range(many) for value in events(f"k{number}", f"m{number}")])
    world.register(*(key_record(f"k{number}", source=f"s{number}") for number in range(many)))
    found = await world.steward().run_pass()
    assert (found.entries, found.due) == (2, 0)
    assert found.replayed == {(Became.ACCEPTED, "accepted"): many}


async def test_a_record_on_which_a_rule_fails_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.archive([*events("newer", "a"), *events("odd", "b"), *events("newer", "c")])
    world.register(key_record("newer"), key_record("odd", source="odd"))

    def failing(facts: Facts) -> Decision:
        if facts.key is not None and facts.key.source == "odd":
            raise ZeroDivisionError
        return decide(facts)

    monkeypatch.setattr(decider, "decide", failing)
    found = await world.steward().run_pass()
    assert (found.entries, found.failed) == (1, 1)
    assert await world.ids(SITE) == Counter("ac")
    assert await world.ids(UNCLAIMED) == Counter("b")
    monkeypatch.undo()
    assert (await world.steward().run_pass()).entries == 1  # the mended program


async def test_an_entrys_worth_of_failures_holds_up_no_others_and_each_is_counted_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_plan, "OWNERS_MAX", 2)
    odd = [f"odd{number}" for number in range(5)]
    await world.archive([value for key in (*odd, "newer") for value in events(key, f"of-{key}")])
    world.register(key_record("newer"), *(key_record(key, source=key) for key in odd))

    def failing(facts: Facts) -> Decision:
        if facts.key is not None and facts.key.source.startswith("odd"):
            raise ZeroDivisionError
        return decide(facts)

    monkeypatch.setattr(decider, "decide", failing)
    async with asyncio.timeout(20):
        found = await world.steward().run_pass()
    assert (found.entries, found.failed, found.due) == (1, 5, 0)
    assert await world.ids(SITE) == Counter(["of-newer"])
    assert await world.ids(UNCLAIMED) == Counter(f"of-{key}" for key in odd)


class Shredded(MarkingKeys):
    """The units of one source have no key any more."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    async def unit_key(self, unit: Unit, *, create: bool) -> MarkingKey:
        self.withdrawn = unit.source == self.source
        return await super().unit_key(unit, create=create)


async def test_records_that_nobody_can_seal_stay_and_hold_up_no_others(world: World) -> None:
    await world.archive([*events("newer", "a"), *events("shredded", "b")])
    world.register(key_record("newer"), key_record("shredded", source="shredded"))
    with structlog.testing.capture_logs() as logs:
        found = await world.steward(Shredded("shredded")).run_pass()
    assert (found.entries, found.due) == (1, 1)
    assert [each["event"] for each in logs if each["event"] == "replay_barred"]
    assert await world.ids(SITE) == Counter("a")
    assert await world.ids(UNCLAIMED) == Counter("b")


@pytest.mark.parametrize("refusal", [KeyShredded, KeyDisabled])
async def test_a_day_whose_key_was_withdrawn_is_passed_over_and_the_others_go_on(
    world: World, refusal: type[Refused]
) -> None:
    """As by a steward whose clock is behind the retain worker's, or one that looks just then."""

    class Withdrawing(MarkingKeys):
        async def unit_key(self, unit: Unit, *, create: bool) -> MarkingKey:
            if unit == unclaimed_unit(days(NOW)[-2]):
                raise refusal("no longer")
            return await super().unit_key(unit, create=create)

    await world.archive(events("strange", "m0", "m1"), at=NOW - DAY)
    await world.archive(events("strange", "m2"))
    before = world.steward(Withdrawing())
    assert (await before.run_pass()).broken == {}
    world.register(key_record("strange"))
    for steward in (before, world.steward(Withdrawing())):
        found = await steward.run_pass()
        assert (found.broken, found.records) == ({}, 2)  # those of the day before are live until they go
    assert await world.ids(SITE) == Counter(["m2"])
    assert len(await world.entries()) == 1
    # where the disposal was taken back, they are replayed
    assert (await world.steward().run_pass()).entries == 1


async def test_an_object_that_is_broken_is_named_and_holds_up_no_others(
    world: World, store: MemoryStore
) -> None:
    await world.archive(events("newer", "a"))
    [broken] = [stat.key async for stat in store.list("data/")]
    await world.archive(events("newer", "b"))
    kept = await store.get(broken)
    await store.put(broken, b"garbage")
    world.register(key_record("newer"))
    steward = world.steward()
    found = await steward.run_pass()
    assert (list(found.broken), found.entries) == ([broken], 1)
    await store.put(broken, kept.body, metadata=kept.metadata)
    assert (await steward.run_pass()).entries == 1
    assert await world.ids(SITE) == Counter("ab")


async def test_an_object_whose_entry_comes_later_is_found_then(world: World, store: MemoryStore) -> None:
    world.register(key_record("newer"))
    steward = world.steward()
    rule = store.faults.add(Fault.UNAVAILABLE, operation="put", key="ledger/*/0000000*", times=None)
    with pytest.raises(Unavailable):
        await world.archive(events("newer", "a"))
    assert (await steward.run_pass()).objects == 0
    store.faults.remove(rule)
    await world.archive(events("newer", "b"))  # the attempt before left an orphan
    assert (await steward.run_pass()).entries == 1
    assert await world.ids(SITE) == Counter("b")


async def test_a_pass_between_an_object_and_its_entry_forgets_neither(
    world: World, store: MemoryStore
) -> None:
    world.register(key_record("newer"))
    steward = world.steward()
    rule = store.faults.add(Fault.HELD, operation="put", key="ledger/*/0000000*")
    batch = asyncio.create_task(world.archive(events("newer", "a")))
    while not rule.hits:  # noqa: ASYNC110 # a rule tells nobody that it struck
        await asyncio.sleep(0)
    assert (await steward.run_pass()).objects == 0
    store.faults.clear()
    await batch
    assert (await steward.run_pass()).entries == 1


async def test_a_pass_over_what_is_known_costs_two_lists_a_day(world: World, store: MemoryStore) -> None:
    for number in range(5):
        await world.archive(events("strange", f"m{number}"))
    steward = world.steward()
    await steward.run_pass()
    store.requests.clear()
    await steward.run_pass()
    assert store.requests == {"list": 2 * len(days(NOW))}


async def test_a_pass_costs_the_same_however_long_the_chain_is(world: World, store: MemoryStore) -> None:
    """Each adds an entry, and none reads those before it again."""
    await world.archive([line for number in range(12) for line in events(f"k{number}", f"m{number}")])
    steward, costs = world.steward(), []
    for number in range(12):
        world.register(key_record(f"k{number}", seq=number + 2))
        store.requests.clear()
        assert (await steward.run_pass()).entries == 1
        costs.append(dict(store.requests))
    assert costs[2:] == [costs[2]] * 10
    other = world.steward()
    assert (await other.run_pass()).records == 0
    assert [entry.seq for entry in await world.entries()] == list(range(1, 13))


def test_an_objects_keys_are_kept_as_four_bytes_each() -> None:
    holding = Holding([f"k{number}" for number in range(10_000)], ())
    assert holding._hashes.itemsize * len(holding._hashes) <= 40_000
    assert all(holding.may_hold({hashed(f"k{number}")}) for number in range(0, 10_000, 97))
    assert not holding.may_hold({each for each in range(5) if each not in holding._hashes})
    assert not holding.may_hold(set())
    assert holding.may_hold({hashed(f"k{number}") for number in range(9_000, 12_000)})
