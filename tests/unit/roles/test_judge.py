"""A judge that dies anywhere is followed by one that ends with the same verdicts, each said once."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.contract.keystore.world import worker as keystore
from tests.contract.policy.world import PREFIX, Topics
from tests.integration.retention.mortal import Killed, Life, Mortal
from tests.unit.ledger.world import retry
from tests.unit.origins.judging import COPY, KEY, Site, folded, kinds, learnt
from topics import origin_observations
from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind, subject
from workers.by import By
from workers.ledger.policy_book import PolicyBook
from workers.ledger.policy_kinds import ORIGIN_VERDICTS
from workers.ledger.verdict_commands import Judged, append_verdict, confirm_verdicts
from workers.origins.judge import Judge
from workers.origins.judge_state import KeyState
from workers.roles.judge_owner import JudgeOwner
from workers.roles.judge_snapshots import ROOT, Snapshots
from workers.store.memory import MemoryStore
from workers.store.port import Store
from workers.stream.chunk import Chunk, Run

NOW = 1_795_000_000_000
TOPIC = "origin-observations"


class World:
    """A log of observations, a bucket, and judges that come one after the other."""

    def __init__(self, values: Sequence[bytes | None], store: MemoryStore | None = None) -> None:
        self.values = values
        self.first = 0
        self.store = store or MemoryStore()
        self.topics = Topics()
        self.hints: dict[int, tuple[int, str]] = {}

    async def bounds(self, topic: str, partitions: frozenset[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (self.first, len(self.values)))

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        self.hints |= hints
        return True

    def snapshots(self, store: Store | None = None) -> Snapshots:
        keys = keystore([self.store])
        return Snapshots(store or self.store, keys, retry(), TOPIC, "id", lambda: NOW)

    def judge(self, store: Store | None = None, interval: float = 0.0) -> JudgeOwner:
        book = PolicyBook(store or self.store, ORIGIN_VERDICTS, self.topics, prefix=PREFIX, retry=retry())

        async def append(judged: Judged, by: By) -> object:
            return await append_verdict(book, judged, by)

        owner = JudgeOwner(
            self.snapshots(store), self, TOPIC, append,
            host="h", interval=interval, now=lambda: NOW, clock=lambda: 0.0, step=lambda: None,
        )  # fmt: skip
        owner.stream = self
        return owner

    async def run(self, owner: JudgeOwner, rng: random.Random) -> None:
        """From where it claims to the end of the log, in chunks of any size."""
        start = (await owner.claim(frozenset({0})))[0] or 0
        while start < len(self.values):
            end = min(len(self.values), start + rng.randrange(1, 9))
            await owner.take(self.chunk(start, end))
            start = end

    def chunk(self, start: int, end: int) -> Chunk:
        return Chunk(0, start, end, [Run(range(start, end), NOW, tuple(self.values[start:end]))])

    async def known(self) -> dict[str, KeyState]:
        """What the judge that comes next begins with: everything is folded, once."""
        kept = await self.snapshots().latest(0)
        assert kept is not None
        assert kept.offset == len(self.values)
        return kept.judge.keys

    async def verdicts(self) -> dict[str, VerdictKind]:
        book = PolicyBook(self.store, ORIGIN_VERDICTS, self.topics, prefix=PREFIX, retry=retry())
        return {key: value.kind for key, value in (await book.chain.everything()).items()}


def stream() -> list[OriginObservation]:
    """Two copies, something harmless, spans that come again."""
    site, _ = learnt()
    copies = [
        site.copied(),
        site.copied(host="other-copy.com", records=10),
        site.copied(host="news.com", pages=range(900, 930)),
    ]
    seen = site.settled([*copies, site.copied(host="new.goodshop.example")])
    return [*seen[:9], seen[0], *seen[9:], seen[2]]


def encoded(seen: Sequence[OriginObservation]) -> list[bytes]:
    return [origin_observations.codec.encode(each) for each in seen]


async def begun(world: World) -> World:
    """With what three weeks have taught, as the snapshot of an earlier judge."""
    await world.snapshots().keep(0, 0, learnt()[1].snapshot())
    return world


async def test_verdicts_are_on_record_and_spread() -> None:
    world = await begun(World(encoded(stream())))
    await world.run(world.judge(), random.Random(1))
    expected = {subject(KEY, host): kind for host, kind in kinds(folded(learnt()[1], stream()))}
    assert expected[subject(KEY, COPY)] is VerdictKind.COPY
    assert expected[subject(KEY, "new.goodshop.example")] is VerdictKind.SUSPECT
    assert await world.verdicts() == expected
    assert {
        name: value["kind"] for name, value in world.topics.compacted("origin-verdicts").items()
    } == expected
    assert {record["who"] for record in world.topics.audit()} == {"judge"}


async def test_a_chunk_from_before_a_claim_is_not_folded_in_the_place_of_what_was_not_kept() -> None:
    """It was on its way when the partition went and came back: a snapshot behind it would skip the others."""
    world = await begun(World(encoded(stream())))
    owner = world.judge(interval=1.0)  # longer than it lives: what it folds is not kept
    end = len(world.values)
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 5))
    await owner.revoked(frozenset({0}))
    assert (await owner.claim(frozenset({0})))[0] == 0
    await owner.take(world.chunk(5, end))
    await owner.take(world.chunk(0, end))
    await owner.drain()
    whole = await begun(World(encoded(stream())))
    await whole.run(whole.judge(), random.Random(1))
    assert await world.verdicts() == await whole.verdicts()
    assert await world.known() == await whole.known()


async def test_a_judge_that_dies_anywhere_changes_nothing() -> None:
    """Before each request, and behind its effect, for many seeds; the verdicts' entries are the same too."""
    undisturbed = await begun(World(encoded(stream())))
    await undisturbed.run(undisturbed.judge(), random.Random(1))
    expected = await undisturbed.verdicts()
    known = await undisturbed.known()
    deaths = 0
    for seed in range(60):
        rng = random.Random(seed)
        world = await begun(World(encoded(stream())))
        while True:
            life = Life(rng, 25)
            try:
                await world.run(world.judge(Mortal(world.store, life)), rng)
                break
            except Killed:
                deaths += 1
        assert await world.verdicts() == expected, seed
        assert await world.known() == known, seed
        entries = [
            stat.key
            async for stat in world.store.list("policy/v1/origin-verdicts/")
            if "fold" not in stat.key
        ]
        told = [key for _, key, _ in world.topics.log]
        assert len({*entries}) == len(entries)
        assert len(told) >= len(expected)
    assert deaths > 60


async def test_a_snapshot_never_holds_a_verdict_that_is_not_on_record() -> None:
    """A judge is stopped while it waits for S3 with a verdict in hand."""
    world = await begun(World(encoded(stream())))
    waiting, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Mortal):
        async def put(self, key: str, *arguments: Any, **more: Any) -> str:
            if key.startswith("policy/"):
                waiting.set()
                await go_on.wait()
            return await super().put(key, *arguments, **more)

    owner = world.judge(Slow(world.store, Life(random.Random(1), 0)), interval=1e9)
    running = asyncio.create_task(world.run(owner, random.Random(1)))
    await waiting.wait()
    draining = asyncio.create_task(owner.drain())
    for _ in range(1000):
        await asyncio.sleep(0)
    assert not draining.done()
    before = await world.snapshots().latest(0)
    assert before is not None
    assert before.offset == 0
    go_on.set()
    await draining
    await running
    kept = await world.snapshots().latest(0)
    assert kept is not None
    on_record = await world.verdicts()
    for name, host in kept.judge.keys[KEY].hosts.items():
        assert not host.issued or on_record[subject(KEY, name)] == host.issued


async def test_a_revoked_partition_is_dropped_amid_its_work() -> None:
    world = await begun(World(encoded(stream())))
    stuck = asyncio.Event()

    class Stuck(Mortal):
        async def put(self, key: str, *arguments: Any, **more: Any) -> str:
            stuck.set()
            return await asyncio.Future()

    owner = world.judge(Stuck(world.store, Life(random.Random(1), 0)), interval=1e9)
    running = asyncio.create_task(world.run(owner, random.Random(1)))
    await stuck.wait()
    await owner.revoked(frozenset({0}))
    await running
    assert not owner.busy
    await owner.drain()
    kept = await world.snapshots().latest(0)
    assert kept is not None
    assert kept.offset == 0


async def test_two_snapshots_are_kept_and_a_damaged_one_is_passed_over() -> None:
    world = World([])
    snapshots = world.snapshots()
    site = Site()
    judge = Judge()
    for offset in range(1, 6):
        folded(judge, [site.own()])
        await snapshots.keep(0, offset, judge.snapshot())
        await snapshots.keep(0, offset, judge.snapshot())
    names = [stat.key async for stat in world.store.list(ROOT)]
    assert [name.rpartition("/")[2][:16] for name in names] == [f"{4:016}", f"{5:016}"]
    newest = await world.store.get(names[1])
    assert KEY.encode() not in newest.body
    await world.store.put(names[1], b"x" + newest.body[1:], metadata=newest.metadata)
    found = await snapshots.latest(0)
    assert found is not None
    assert found.offset == 4
    assert await snapshots.latest(1) is None


async def test_what_is_no_observation_is_passed_over() -> None:
    seen = encoded(stream())
    world = await begun(World([b"{", None, *seen, msgspec.json.encode({"v": 2})]))
    await world.run(world.judge(), random.Random(1))
    assert subject(KEY, COPY) in await world.verdicts()


async def test_the_customers_word_stands() -> None:
    world = await begun(World(encoded(stream())))
    book = PolicyBook(world.store, ORIGIN_VERDICTS, world.topics, prefix=PREFIX, retry=retry())
    by = By("support", "h", "their new domain", NOW)
    await confirm_verdicts(book, "w", [KEY], COPY, VerdictKind.BENIGN, by)
    await world.run(world.judge(), random.Random(1))
    assert (await world.verdicts())[subject(KEY, COPY)] is VerdictKind.BENIGN


@pytest.mark.parametrize(("first", "expected"), [(0, 0), (30, 30)])
async def test_it_starts_at_its_snapshot_or_where_the_log_begins(first: int, expected: int) -> None:
    world = await begun(World(encoded(stream())))
    world.first = first
    assert await world.judge().claim(frozenset({0})) == {0: expected}


async def test_a_snapshot_of_another_log_is_not_believed() -> None:
    world = World(encoded(stream()))
    await world.snapshots().keep(0, 10_000, learnt()[1].snapshot())
    assert await world.judge().claim(frozenset({0})) == {0: 0}
