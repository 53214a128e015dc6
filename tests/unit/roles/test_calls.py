"""What archiving does for each record more, from Kafka's bytes to the entry: counted in calls, not in time.

The same on any machine: a benchmark shows a slower record path to who runs it, this shows it to everybody.
Work within compiled code makes no calls. What sorting alone makes is in tests/unit/intake/test_calls.py.
"""

import asyncio
from collections import Counter

from aiokafka.record.default_records import (  # type: ignore[import-untyped]  # aiokafka ships no types
    DefaultRecordBatchBuilder,
)

from tests.benchmarks.bench_sort import KEYS, NOW, RECORDS, policy_of, records_of
from tests.calls import counted_calls
from tests.unit.roles.world import World
from tests.unit.stream.fetched import Fetched
from workers.roles.owner import Limits, Owner
from workers.stream.chunk import Chunk
from workers.stream.unpack import AsRuns

LIMITS = Limits(flush_bytes=2**40, flush_interval=1e6, buffer_bytes_max=2**40, shutdown_timeout=60.0)
# raised only with what `tests.benchmarks.bench_peers` shows before and after in the commit message
PYTHON_CALLS = 0.4  # a record: sorting's, and the event loop's turns meanwhile, which differ from run to run
C_CALLS = 5.2
MORE = 20  # chunks


def batch_of(values: list[bytes], start: int) -> bytes:
    """As the broker stores it."""
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, 0, 0, 1 << 30)
    for number, value in enumerate(values):
        builder.append(number, NOW, b"key", value, [])
    batch = builder.build()
    batch[:8] = start.to_bytes(8, "big")
    return bytes(batch)


async def take(owner: Owner, log: bytes, start: int) -> int:
    """The offset behind it."""
    found = Fetched(log, start, [], ours=True, gathering=AsRuns)
    runs = found.result.getall(None).runs
    await owner.take(Chunk(0, start, found.at.position, runs))
    return found.at.position


async def archived(values: list[bytes]) -> Counter[str]:
    """Calls in all threads, of a worker that knows all keys and pages already."""
    world = World(time=NOW)
    owner = world.owner(LIMITS, policy=policy_of(KEYS))
    await owner.claim(frozenset({0}))
    known = [each.value or b"" for each in records_of(seed=7)]
    start = await take(owner, batch_of(known, 0), 0)
    log = batch_of(values, start)
    with counted_calls() as counted:  # the threads that pack and seal have not started
        end = await take(owner, log, start)
        await owner.drain()
    assert end == start + len(values)
    assert (await world.verify()).records == {"accepted": end, "gap": 0}
    return counted


def test_a_record_more_costs_few_calls() -> None:
    values = [each.value or b"" for each in records_of(seed=7)]
    few, many = asyncio.run(archived(values)), asyncio.run(archived(values * (1 + MORE)))
    more = len(values) * MORE
    assert more == RECORDS * MORE
    assert (many["call"] - few["call"]) / more <= PYTHON_CALLS
    assert (many["c_call"] - few["c_call"]) / more <= C_CALLS
