"""Claims, revocations and chunks in every order that a group can bring them in."""

import asyncio
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
        return self.starts

    async def revoked(self, partitions: frozenset[int]) -> None:
        self.events.append(("revoked", partitions))

    async def take(self, chunk: Chunk) -> None:
        self.events.append((chunk.partition, chunk.start, chunk.end))

    async def drain(self) -> None: ...


class Group:
    """A tenancy, what it began, and what it crashed of."""

    def __init__(self, starts: Mapping[int, int | None]) -> None:
        self.owner = Owner(starts)
        self.begun: list[tuple[int, int, Mapping[int, int | None]]] = []
        self.crashes: list[BaseException] = []
        self.tenancy = Tenancy("raw", self.owner, begin=self._begin, crash=self._crash)

    async def _begin(self, tenure: int, claim: int, starts: Mapping[int, int | None]) -> None:
        self.begun.append((tenure, claim, starts))

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
    assert group.begun == [(1, 1, {0: 5, 1: None})]
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
    await group.tenancy.take(2, chunk(5, 6))
    assert group.owner.events == [("revoked", BOTH), (0, 5, 6)]


async def test_a_revocation_cancels_the_claim_before_it_tells_the_owner() -> None:
    group = Group({0: 5, 1: 0})
    group.tenancy.assigned(1, BOTH)
    await asyncio.sleep(0)
    assert not group.tenancy.settled
    await group.tenancy.revoked(BOTH)
    assert group.owner.events == ["cancelled", ("revoked", BOTH)]
    assert (group.begun, group.crashes) == ([], [])


async def test_the_first_revocation_of_a_life_says_nothing() -> None:
    group = Group({})
    await group.tenancy.revoked(frozenset())
    group.tenancy.assigned(1, frozenset())  # more members than partitions
    assert group.tenancy.settled
    assert group.owner.events == []


@pytest.mark.parametrize("starts", [{0: 5}, {0: 5, 1: 0, 2: 0}, {}])
async def test_an_owner_that_does_not_answer_for_each_partition_ends_the_stream(
    starts: dict[int, int],
) -> None:
    group = Group(starts)
    await group.claimed(1)
    assert [type(error) for error in group.crashes] == [Fatal]
    assert group.begun == []


async def test_nothing_is_claimed_or_taken_after_the_close() -> None:
    group = Group({0: 5, 1: 0})
    group.tenancy.assigned(1, BOTH)
    await asyncio.sleep(0)
    await group.tenancy.close()
    await group.claimed(2)
    await group.tenancy.take(2, chunk(5, 6))
    assert (group.owner.events, group.begun) == (["cancelled"], [])


async def test_a_partition_claimed_anew_goes_on_where_its_owner_says_and_drops_what_came_before() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    await group.tenancy.take(1, chunk(5, 9))
    group.owner.starts = {0: 7}
    await group.tenancy.reclaim(frozenset({0}))
    assert group.begun[-1] == (1, 2, {0: 7})
    await group.tenancy.take(1, chunk(9, 12))  # fetched before
    await group.tenancy.take(1, chunk(7, 9))  # even where it would fit
    await group.tenancy.take(2, chunk(7, 12))
    await group.tenancy.take(1, chunk(0, 3, partition=1))
    assert group.owner.events == [(0, 5, 9), (0, 7, 12), (1, 0, 3)]
    with pytest.raises(Fatal):
        await group.tenancy.take(2, chunk(13, 14))


async def test_a_partition_claimed_anew_may_be_halted() -> None:
    group = Group({0: 5, 1: 0})
    await group.claimed(1)
    group.owner.starts = {0: None}
    await group.tenancy.reclaim(frozenset({0}))
    assert group.tenancy.halted == {0}
    assert group.begun[-1] == (1, 2, {0: None})
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
    await group.tenancy.reclaim(frozenset({1, 7}))
    assert len(group.begun) == 1
