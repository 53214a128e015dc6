"""Records that come for a day that is disposed of, and that a hold would keep now, are refused.

The flusher, the keystore and the disposer are the real ones.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import envelope, key_record, policy_of, workspace_record
from tests.unit.ledger.world import WRITER, MemoryLog, log_id, retry
from tests.unit.retention.making import DAY, MIDNIGHT, unit, workspace
from tests.unit.retention.world import World, group
from tests.unit.roles.world import LIMITS, FakePolicy, FakeStream, Record, settled
from workers.by import By
from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, UNCLAIMED, Clock, Disposition
from workers.intake.policy import Policy
from workers.intake.sort import Sorter
from workers.ledger.assign import claim
from workers.ledger.entries import Entry
from workers.ledger.flush import Flusher, UnitsDisposed, Uploads
from workers.ledger.halts import KEY_WITHDRAWN, cause_of
from workers.ledger.head import Head
from workers.ledger.names import ChainId
from workers.ledger.pack import Compression, Packer
from workers.ledger.unit_chain import Draft, append, head
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.ledger.verify import Verifier
from workers.ledger.walk import walk
from workers.retention.dispose import Outcome
from workers.roles.owner import Owner
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.sealing.rows import unit_row
from workers.sealing.withdraw import tombstone
from workers.stream.chunk import Chunk

HELD = {"acme": workspace(legal_hold=True)}
DAYS = [unit(ago, source="site") for ago in range(44, 39, -1)]


@dataclass
class Late:
    """A fleet of which some days are disposed of, then a hold is set; and a worker that catches up."""

    world: World = field(default_factory=lambda: World({"acme": workspace(retention_days=30)}))
    logs: dict[int, MemoryLog] = field(default_factory=dict)
    chunks: dict[int, Chunk] = field(default_factory=dict)
    chains: dict[int, ChainId] = field(default_factory=dict)
    stream: FakeStream = field(default_factory=FakeStream)
    policy: Policy = field(default_factory=lambda: policy_of([key_record()], [workspace_record(hold=True)]))
    slow: int = 0  # ms by which the worker's clock is behind

    async def disposed_of(self, units: Sequence[Unit]) -> None:
        await self.world.commit({group(each): [b"{}"] for each in units})
        for each in units:
            await self.world.dispose(each)
        self.world.policy = HELD

    def owner(self) -> Owner:
        found = self.world

        async def claims(partition: int) -> Head:
            log = self.logs.setdefault(partition, MemoryLog())
            head = await claim(
                found.ledger, log_id(partition), log, hint=None, writer=WRITER, now=found.now, retry=retry()
            )
            self.chains[partition] = head.chain
            return head

        flusher = Flusher(
            data=found.data,
            ledger=found.ledger,
            keys=found.keystore(),
            packer=Packer(Compression.ZSTD, 1),
            writer=WRITER,
            retry=retry(),
            threads=ThreadPoolExecutor(1),
            uploads=Uploads(4),
            now=lambda: found.now,
        )
        owner = Owner(
            claims,
            Sorter(self.policy),
            FakePolicy(),
            flusher,
            LIMITS,
            lambda cause, why: lambda: None,
            lambda: None,
            lambda: found.now - self.slow,
            lambda: found.now / 1000,
        )
        owner.stream = self.stream
        self.stream.owner = owner
        return owner

    def produced(self, partition: int, agos: Sequence[int], value: bytes | None = None) -> Chunk:
        """The next records of the partition, appended so many days ago."""
        log = self.logs.setdefault(partition, MemoryLog())
        start = log.end
        log.produce([value or envelope()] * len(agos))
        records = [
            Record(start + number, log.records[start + number], MIDNIGHT - ago * DAY)
            for number, ago in enumerate(agos)
        ]
        return Chunk(partition, start, log.end, runs_of(records))

    async def entries(self, partition: int) -> list[Entry]:
        return [entry async for entry in walk(self.world.ledger, self.chains[partition], retry())]

    async def counts(self, partition: int) -> dict[str, int]:
        counted: dict[str, int] = {}
        for entry in await self.entries(partition):
            for reasons in entry.counts.values():
                for reason, count in reasons.items():
                    counted[reason] = counted.get(reason, 0) + count
        return counted

    async def clean(self) -> bool:
        return (await Verifier(self.world.ledger, self.world.data, retry()).run()).clean

    async def flushed(self, owner: Owner, *chunks: Chunk) -> None:
        """Each a batch of its own, side by side; until all that this leads to is over."""
        for chunk in chunks:
            await owner.take(chunk)
            owner._flush(owner.partitions[chunk.partition])
        await settled(owner)
        while beside := owner._background._tasks:
            await asyncio.gather(*beside)


async def test_late_records_of_a_day_that_is_gone_are_refused_and_the_partition_goes_on() -> None:
    late = Late()
    await late.disposed_of(DAYS[:1])
    owner = late.owner()
    await owner.claim(frozenset({1}))
    chunk = late.produced(1, [44, 44, 39, 44, 0, 0])
    await late.flushed(owner, chunk)
    assert late.stream.reclaimed == [{1: 0}]  # dropped whole, and fetched again
    await late.flushed(owner, chunk)
    assert await late.counts(1) == {"past_retention": 3, "accepted": 3}
    await late.flushed(owner, late.produced(1, [44, 0]))
    assert await late.counts(1) == {"past_retention": 4, "accepted": 4}
    assert len(late.stream.reclaimed) == 1
    assert not owner.halted
    assert not owner.failed.done()
    days = {stored.day for entry in await late.entries(1) for stored in entry.objects}
    assert days == {unit(39).day, unit(0).day}
    assert await late.clean()


async def test_of_a_batch_for_many_days_that_are_gone_all_are_found_at_once() -> None:
    late = Late()
    await late.disposed_of(DAYS)
    owner = late.owner()
    await owner.claim(frozenset({1}))
    chunk = late.produced(1, [44, 43, 42, 41, 40, 39])
    await late.flushed(owner, chunk)
    await late.flushed(owner, chunk)
    assert len(late.stream.reclaimed) == 1
    assert await late.counts(1) == {"past_retention": 5, "accepted": 1}
    assert await late.clean()


async def test_batches_side_by_side_and_other_partitions_are_each_sorted_again_once() -> None:
    late = Late()
    await late.disposed_of(DAYS[:2])
    owner = late.owner()
    await owner.claim(frozenset({1, 2}))
    first, second = late.produced(1, [44, 0]), late.produced(1, [43, 44, 0])
    other = late.produced(2, [44, 0])
    await late.flushed(owner, first, second, other)
    assert not owner.halted
    before = len(late.stream.reclaimed)
    await late.flushed(owner, first, second, other)
    assert len(late.stream.reclaimed) == before
    assert await late.counts(1) == {"past_retention": 3, "accepted": 2}
    assert await late.counts(2) == {"past_retention": 1, "accepted": 1}
    assert await late.clean()


async def test_a_key_that_went_while_its_objects_were_uploaded_is_seen_before_the_entry() -> None:
    """The batch waits for the one before it; meanwhile its day is disposed of."""
    late = Late()
    owner = late.owner()
    await owner.claim(frozenset({1}))
    await owner.take(late.produced(1, [44, 0]))
    partition = owner.partitions[1]

    async def disposed_of_meanwhile() -> Head:
        await late.disposed_of(DAYS[:1])
        late.world.uptime.now += 1000.0  # no key in memory is good any more unless it is looked at again
        return partition.head

    with pytest.raises(UnitsDisposed) as raised:
        await owner._flusher.flush(partition.head.chain, partition.batch, disposed_of_meanwhile)
    assert raised.value.units == {DAYS[0]}
    assert not await late.entries(1)


@pytest.mark.parametrize("how", ["shredded by hand", "disabled", "disabled, with a forged entry"])
async def test_without_a_disposal_that_is_on_record_the_partition_halts(how: str) -> None:
    late = Late()
    await late.world.commit({group(DAYS[0]): [b"{}"]})
    if how == "shredded by hand":
        await tombstone(Replicas([late.world.keys], requests=8), [unit_row(DAYS[0])], now=late.world.now)
    else:
        await late.world.disposer().advance(DAYS[0])  # from here it may still be taken back
    if how == "disabled, with a forged entry":
        (stored,) = late.world.objects(DAYS[0])
        draft = Draft(
            Kind.DISPOSE,
            "0" * 16,
            WRITER,
            By("ops", "host", "retention: by hand", late.world.now),
            {},
            (Consumed(stored.key, None, 1),),
            {Became.DISPOSED: {"retention": 1}},
        )
        await append(late.world.ledger, await head(late.world.ledger, DAYS[0], retry()), draft, retry())
    owner = late.owner()
    await owner.claim(frozenset({1}))
    await late.flushed(owner, late.produced(1, [44, 0]))
    assert cause_of(owner.halted[1]) == KEY_WITHDRAWN
    assert late.stream.halted == {1}
    assert not await late.entries(1)
    assert not late.policy.disposed.at("acme", "site", MIDNIGHT - 44 * DAY).clocks


async def test_a_disposal_that_a_hold_takes_back_loses_no_record() -> None:
    late = Late()
    await late.world.commit({group(DAYS[0]): [b"{}"]})
    await late.world.disposer().advance(DAYS[0])
    owner = late.owner()
    await owner.claim(frozenset({1}))
    chunk = late.produced(1, [44, 0])
    await late.flushed(owner, chunk)
    assert owner.halted
    await late.world.disposer().recall(DAYS[0], "ann")
    late.world.uptime.now += 1000.0
    await owner.claim(frozenset({1}))
    await late.flushed(owner, chunk)
    assert not owner.halted
    assert await late.counts(1) == {"accepted": 2}


async def test_a_sorter_that_goes_on_storing_them_is_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = Late()
    await late.disposed_of(DAYS[:1])
    monkeypatch.setattr(late.policy, "disposed_of", lambda *unit: None)
    owner = late.owner()
    await owner.claim(frozenset({1}))
    chunk = late.produced(1, [44, 0])
    await late.flushed(owner, chunk)
    await late.flushed(owner, chunk)
    assert cause_of(owner.halted[1]) == KEY_WITHDRAWN
    assert len(late.stream.reclaimed) == 1


UNKNOWN_WORKSPACE = key_record("of-nobody-yet", workspace="nobody-yet")


@pytest.mark.parametrize(
    ("source", "clock", "kept_for", "value", "reason"),
    [
        (DEAD_LETTERS, Clock.MAIN, 30, b"not JSON", "not_json"),
        (UNCLAIMED, Clock.UNCLAIMED, 7, envelope("never-heard-of"), "unknown_key"),
        (UNCLAIMED, Clock.UNCLAIMED, 7, envelope("of-nobody-yet"), "unknown_workspace"),
    ],
)
async def test_a_worker_whose_clock_is_slow_goes_on_where_the_platforms_own_was_disposed_of(
    source: str, clock: Clock, kept_for: int, value: bytes, reason: str
) -> None:
    late = Late(slow=2 * DAY, policy=policy_of([UNKNOWN_WORKSPACE], []))
    gone = unit(kept_for + 1, PLATFORM, source)._replace(clock=clock)
    stored = Disposition.DEAD_LETTERED if source == DEAD_LETTERS else Disposition.QUARANTINED
    await late.world.commit({group(gone, stored): [b"{}"]})
    assert (await late.world.dispose(gone))[-1].outcome is Outcome.DONE
    owner = late.owner()
    await owner.claim(frozenset({1}))
    chunk = late.produced(1, [kept_for + 1, kept_for, kept_for + 1, 0], value)
    await late.flushed(owner, chunk)
    assert not owner.halted
    await late.flushed(owner, chunk)
    assert await late.counts(1) == {"past_platform_retention": 2, reason: 2}
    await late.flushed(owner, late.produced(1, [kept_for + 1, 0], value))
    assert await late.counts(1) == {"past_platform_retention": 3, reason: 3}
    assert len(late.stream.reclaimed) == 1
    assert await late.clean()
