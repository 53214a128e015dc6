"""Claims, revocations and chunks in every order that a group can bring them in."""

import asyncio
import contextlib
from collections.abc import Mapping

import pytest

from workers.errors import Fatal
from workers.stream.chunk import Chunk
from workers.stream.tenancy import Tenancy

BOTH = frozenset({0, 1})


class Owner:
    def __init__(self, starts: Mapping[int, int | None]) -> None:
        self.starts = starts
        self.may_claim = asyncio.Event()
        self.events: list[object] = []

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        try:
            await self.may_claim.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        return self.answer(partitions)

    def answer(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        return {partition: self.starts[partition] for partition in partitions}

    async def revoked(self, partitions: frozenset[int]) -> None:
        self.events.append(("revoked", partitions))

    async def take(self, chunk: Chunk) -> None:
        self.events.append((chunk.partition, chunk.start, chunk.end))

    async def drain(self) -> None: ...


class Group:
    """A tenancy, what it began, and what it crashed of."""

    def __init__(self, starts: Mapping[int, int | None]) -> None:
        self.owner = Owner(starts)
        self.begun: list[tuple[int, int, int, int | None]] = []  # tenure, claim, partition, start
        self.crashes: list[BaseException] = []
        self.tenancy = Tenancy("raw", self.owner, begin=self._begin, crash=self._crash)

    async def _begin(self, tenure: int, claim: int, partition: int, start: int | None) -> None:
        self.begun.append((tenure, claim, partition, start))

    async def _crash(self, error: BaseException) -> None:
        self.crashes.append(error)

    async def claimed(self, tenure: int) -> None:
        self.owner.may_claim.set()
        self.tenancy.assigned(tenure, BOTH)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def chunk(start: int, end: int, partition: int = 0) -> Chunk:
    return Chunk(partition, start, end, [])


async def test_chunks_follow_from_the_claim_without_a_gap() -> None:
    group = Group({0: 5, 1: None})
    await group.claimed(1)
    assert group.begun == [(1, 1, 0, 5), (1, 2, 1, None)]
    assert group.tenancy.halted == {1}
    assert group.tenancy.settled
    await group.tenancy.take(1, chunk(5, 9))
    await group.tenancy.take(1, chunk(9, 10))
    assert group.owner.events == [(0, 5, 9), (0, 9, 10)]


@pytest.mark.parametrize("start", [4, 6])
async def test_a_chunk_out_of_turn_is_fatal(start: int) -> None:
    group = Group({0: 5, 1: None})
    await group.claimed(1)
    with pytest.raises(Fatal, match=rf"raw\[0\]: a chunk starts at {start} where 5 was due"):
        await group.tenancy.take(1, chunk(start, 9))
    assert group.owner.events == []


async def test_a_chunk_of_a_partition_that_is_not_claimed_is_dropped() -> None:
    group = Group({0: 5, 1: None})
    await group.claimed(1)
    for partition in (1, 7):
        await group.tenancy.take(1, chunk(5, 9, partition))
    assert group.owner.events == []


async def test_what_an_older_tenure_fetched_is_dropped() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    await group.tenancy.revoked(BOTH)
    await group.tenancy.take(1, chunk(5, 9))
    assert not group.tenancy.settled
    await group.claimed(2)
    await group.tenancy.take(1, chunk(5, 9))
    await group.tenancy.take(3, chunk(5, 6))
    assert group.owner.events == [("revoked", BOTH), (0, 5, 6)]


async def test_a_revocation_cancels_the_claim_before_it_tells_the_owner() -> None:
    group = Group({0: 5, 1: 0})
    group.tenancy.assigned(1, BOTH)
    await asyncio.sleep(0)
    assert not group.tenancy.settled
    await group.tenancy.revoked(BOTH)
    assert group.owner.events == ["cancelled", "cancelled", ("revoked", BOTH)]
    assert (group.begun, group.crashes) == ([], [])


async def test_the_first_revocation_of_a_life_says_nothing() -> None:
    group = Group({})
    await group.tenancy.revoked(frozenset())
    group.tenancy.assigned(1, frozenset())  # more members than partitions
    assert group.tenancy.settled
    assert group.owner.events == []


@pytest.mark.parametrize("answer", [{}, {1: 0}, {0: 5, 1: 0}])
async def test_an_owner_that_does_not_answer_for_what_it_was_asked_ends_the_stream(
    answer: dict[int, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group({})
    monkeypatch.setattr(group.owner, "answer", lambda partitions: answer)
    group.owner.may_claim.set()
    group.tenancy.assigned(1, frozenset({0}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [type(error) for error in group.crashes] == [Fatal]
    assert group.begun == []
    assert not group.tenancy.settled


async def test_a_slow_claim_holds_up_no_other_partition() -> None:
    group = Group({0: 5, 1: 7})
    slow = asyncio.Event()
    claim = group.owner.claim

    async def slowly(partitions: frozenset[int]) -> Mapping[int, int | None]:
        if 1 in partitions:
            await slow.wait()
        return await claim(partitions)

    group.owner.claim = slowly  # type: ignore[method-assign]  # one method of a double
    await group.claimed(1)
    assert group.begun == [(1, 1, 0, 5)]
    await group.tenancy.take(1, chunk(5, 9))
    assert group.owner.events == [(0, 5, 9)]
    assert not group.tenancy.settled
    slow.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert group.begun[1:] == [(1, 2, 1, 7)]
    assert group.tenancy.settled


async def test_a_claim_that_outlives_its_revocation_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.stream.tenancy.CANCEL_TIMEOUT", 0.01)
    group = Group({0: 5, 1: 7})
    late = asyncio.Event()

    async def deaf(partitions: frozenset[int]) -> Mapping[int, int | None]:
        with contextlib.suppress(asyncio.CancelledError):
            await late.wait()
        await late.wait()
        return dict.fromkeys(partitions, 1)

    claim = group.owner.claim
    group.owner.claim = deaf  # type: ignore[method-assign]  # one method of a double
    group.tenancy.assigned(1, BOTH)
    await asyncio.sleep(0)
    await group.tenancy.revoked(BOTH)
    group.owner.claim = claim  # type: ignore[method-assign]  # as above
    await group.claimed(2)
    late.set()
    await asyncio.sleep(0.01)
    assert group.begun == [(2, 1, 0, 5), (2, 2, 1, 7)]
    await group.tenancy.take(1, chunk(5, 6))
    assert group.owner.events[-1] == (0, 5, 6)


async def test_nothing_is_claimed_or_taken_after_the_close() -> None:
    group = Group({0: 5, 1: 0})
    group.tenancy.assigned(1, BOTH)
    await asyncio.sleep(0)
    await group.tenancy.close()
    await group.claimed(2)
    await group.tenancy.take(2, chunk(5, 6))
    assert (group.owner.events, group.begun) == (["cancelled", "cancelled"], [])


async def test_a_partition_claimed_anew_goes_on_where_its_owner_says_and_drops_what_came_before() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    await group.tenancy.take(1, chunk(5, 9))
    group.owner.starts = {0: 7}
    await group.tenancy.reclaim(frozenset({0}))
    assert group.begun[-1] == (1, 3, 0, 7)
    await group.tenancy.take(1, chunk(9, 12))  # fetched before
    await group.tenancy.take(1, chunk(7, 9))  # even where it would fit
    await group.tenancy.take(3, chunk(7, 12))
    await group.tenancy.take(2, chunk(0, 3, partition=1))
    assert group.owner.events == [(0, 5, 9), (0, 7, 12), (1, 0, 3)]
    with pytest.raises(Fatal):
        await group.tenancy.take(3, chunk(13, 14))


async def test_a_partition_claimed_anew_may_be_halted() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    group.owner.starts = {0: None}
    await group.tenancy.reclaim(frozenset({0}))
    assert group.tenancy.halted == {0}
    assert group.begun[-1] == (1, 3, 0, None)
    await group.tenancy.take(1, chunk(5, 9))
    assert group.owner.events == []


async def test_a_revocation_ends_a_claim_that_was_made_anew() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    group.owner.may_claim.clear()
    again = asyncio.create_task(group.tenancy.reclaim(frozenset({0})))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await group.tenancy.revoked(BOTH)
    await asyncio.wait_for(again, 5)
    assert group.owner.events == ["cancelled", ("revoked", BOTH)]
    assert not group.crashes


async def test_what_is_not_held_is_not_claimed_anew() -> None:
    group = Group({0: 5, 1: None})
    await group.claimed(1)
    await group.tenancy.reclaim(frozenset({7}))
    assert len(group.begun) == 2


async def test_what_is_halted_goes_on_once_the_owner_names_a_start() -> None:
    group = Group({0: 5, 1: None})
    await group.claimed(1)
    group.owner.starts = {0: 5, 1: 40}
    await group.tenancy.reclaim(frozenset({1}))
    assert group.tenancy.halted == frozenset()
    assert group.begun[-1] == (1, 3, 1, 40)


async def test_a_partition_that_is_halted_later_gets_no_more_chunks_until_it_is_assigned_again() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    await group.tenancy.halt(frozenset({0, 7}))
    assert group.begun[-1] == (1, 3, 0, None)
    assert group.tenancy.halted == {0}
    assert group.tenancy.settled
    await group.tenancy.take(1, chunk(5, 9))
    await group.tenancy.take(2, chunk(0, 3, partition=1))
    assert group.owner.events == [(1, 0, 3)]
    await group.tenancy.revoked(BOTH)
    await group.claimed(2)
    assert group.tenancy.halted == frozenset()
    assert (2, 4, 0, 5) in group.begun
