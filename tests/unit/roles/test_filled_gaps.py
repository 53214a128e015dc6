"""What the ledger counted as gaps must still be gaps: a log that was cut in them and grew is another log."""

import asyncio

from tests.runs import runs_of
from tests.unit.roles.world import Record, World, settled
from workers.stream.chunk import Chunk


async def archived_with_gap(world: World) -> int:
    """Three records and three offsets without one, archived. Returns where the next claim reads from."""
    owner = world.owner()
    await owner.claim(frozenset({0}))
    chunk = world.chunk(0, 3)
    world.logs[0].end = 6
    await owner.take(chunk._replace(end=6))
    await owner.drain()
    places = await owner.claim(frozenset({0}))
    assert owner.partitions[0].head.next == 6
    assert places[0] is not None
    return places[0]


def chunk_at(world: World, start: int, first: int, end: int) -> Chunk:
    """[start, end) with records from `first` on."""
    value = world.logs[0].records[2]
    return Chunk(0, start, end, runs_of(Record(offset, value) for offset in range(first, end)))


async def test_the_log_is_read_again_behind_the_last_record_and_goes_on_at_the_head() -> None:
    world = World()
    assert await archived_with_gap(world) == 3
    owner = world.stream.owner
    assert owner is not None
    await owner.take(chunk_at(world, 3, 6, 8))
    await owner.take(chunk_at(world, 8, 8, 9))
    await owner.drain()
    await settled(owner)
    report = await world.verify()
    assert (report.findings, report.offsets, report.records["gap"]) == ([], 9, 3)


async def test_a_record_where_a_gap_was_counted_halts_the_partition() -> None:
    world = World()
    start = await archived_with_gap(world)
    owner = world.stream.owner
    assert owner is not None
    await owner.take(chunk_at(world, start, 4, 9))
    await asyncio.sleep(0.02)
    assert set(owner.halted) == {0}
    assert world.stream.halted == {0}
    assert "offset 4 holds a record" in owner.halted[0].message
    assert (await world.verify()).offsets == 6


async def test_where_the_anchor_has_expired_the_log_is_read_from_the_head() -> None:
    world = World()
    await archived_with_gap(world)
    world.logs[0].start = 6
    assert await world.owner().claim(frozenset({0})) == {0: 6}
