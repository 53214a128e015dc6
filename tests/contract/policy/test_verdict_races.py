"""The judge and the customer at every interleaving that a seed draws: the customer's word stands."""

import asyncio
import json
import random
from collections import Counter

import pytest

from tests.contract.policy.world import Topics, by, shuffled, writer
from topics.origin_verdicts import CUSTOMERS, VerdictKind
from workers.intake.policy import Policy
from workers.ledger.policy_entries import shard_of
from workers.ledger.verdict_commands import Judged, append_verdict, confirm_verdicts
from workers.store.memory import MemoryStore

COPY = Judged("k1", "acme", "copy.example", VerdictKind.COPY, {"content_match": 0.8})
NAME = "k1 copy.example"


@pytest.mark.parametrize("seeds", [range(first, first + 60) for first in range(0, 300, 60)])
async def test_whoever_speaks_when_the_customers_word_stands_for_every_worker(seeds: range) -> None:
    ends = Counter[VerdictKind]()
    for seed in seeds:
        try:
            ends[await ended(seed)] += 1
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert min(ends[kind] for kind in CUSTOMERS) >= len(seeds) / 6  # either may be the last


async def ended(seed: int) -> VerdictKind:
    """Two judges, who may be one that was paused and the next, and two people who contradict each other."""
    store, topics = MemoryStore(turn=shuffled(seed)), Topics(shuffled(seed + 1))
    chance = random.Random(seed)

    async def late() -> None:
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)

    async def judged(kind: VerdictKind) -> None:
        await late()
        await append_verdict(writer(store, topics).verdicts, COPY._replace(kind=kind), by("evidence"))

    async def told(kind: VerdictKind) -> None:
        await late()
        book = writer(store, topics).verdicts
        await confirm_verdicts(book, "acme", ["k1"], "copy.example", kind, by("they rang"))

    await asyncio.gather(
        judged(VerdictKind.SUSPECT),
        judged(VerdictKind.COPY),
        told(VerdictKind.BENIGN),
        told(VerdictKind.HOSTILE),
    )
    chain = writer(store, topics).verdicts.chain
    standing = await chain.get(NAME)
    assert standing is not None
    assert standing.kind in CUSTOMERS
    assert (await chain.replay(shard_of(NAME)))[1] == []
    # for a worker that followed, and for one that starts after compaction
    followed, started = Policy(), Policy()
    for value in topics.of("origin-verdicts"):
        followed.apply_verdict(value)
    started.apply_verdict(json.dumps(topics.compacted("origin-verdicts")[NAME]).encode())
    for worker in (followed, started):
        assert worker.verdicts("k1")["copy.example"].kind is standing.kind
        assert not worker.kept_out
    return standing.kind
