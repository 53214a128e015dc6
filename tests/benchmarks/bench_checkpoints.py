"""Requests to the head of a long chain, and to verify it, with a checkpoint and without. In memory, no Kafka.

`python -m tests.benchmarks.bench_checkpoints [ENTRIES]` writes one chain of entries in which everything was
rejected: no objects, so that what is counted is the ledger's own cost. A server takes longer, and is asked as
often; but `versions` counts listings, and a server answers a thousand keys of one at once.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from tests.unit.ledger.signing import SIGNER, checkpointer
from tests.unit.ledger.world import WRITER, log_id
from workers.intake.dispositions import Disposition
from workers.ledger import entries
from workers.ledger.entries import Anchor, Entry, Genesis
from workers.ledger.head import Head, after_entry, after_genesis, read_head
from workers.ledger.verify import Verifier
from workers.ledger.verify_tails import Sources
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

OFFSETS = 25_000  # an entry
NEWER = 10  # entries behind the newest checkpoint

T = TypeVar("T")


async def main(count: int) -> None:
    store, second, retry = MemoryStore(), MemoryStore("second"), Retry()
    chain = log_id().chain(1)
    genesis = Genesis(**chain._asdict(), first=0, attempt="0" * 16, writer=WRITER, created_at=0)
    await store.put(chain.genesis, entries.encode(genesis))
    head = await filled(store, after_genesis(chain, entries.encode(genesis)), count - NEWER)
    print(f"one chain of {count:,} entries of {OFFSETS:,} offsets", flush=True)

    await told("head, searched", store, read_head(store, chain, None, retry))
    steward = checkpointer(store, second)
    found = await told("the steward's first pass", store, steward.run_pass())
    print(f"  {found.written:,} checkpoints")
    head = await filled(store, head, NEWER)
    assert await told("head, by a checkpoint", store, read_head(store, chain, None, retry)) == head
    assert await told("head, by the group's hint", store, read_head(store, chain, head.hint, retry)) == head
    sources = Sources([second], SIGNER.trust)
    audits = ((None, False), (sources, False), (sources, True))
    for given, start in audits:
        audit = Verifier(store, store, retry, checkpoints=given, from_checkpoints=start)
        what = (
            "verify" + (", held against a checkpoint" if given else "") + (", from there on" if start else "")
        )
        report = await told(what, store, audit.run())
        assert report.clean, report.findings
        assert (report.entries, report.vouched_entries) == ((NEWER, count - NEWER) if start else (count, 0))
    await told("the steward's next pass", store, steward.run_pass())


async def filled(store: MemoryStore, head: Head, count: int) -> Head:
    for _ in range(count):
        following = head.next + OFFSETS
        entry = Entry(
            **head.chain._asdict(),
            first=head.next,
            next=following,
            previous=head.digest,
            anchor=Anchor(following - 1, "0" * 64),
            attempt="0" * 16,
            writer=WRITER,
            committed_at=0,
            policy={},
            counts={Disposition.REJECTED: {"unknown_key": OFFSETS}},
            gaps=0,
            objects=(),
        )
        body = entries.encode(entry)
        await store.put(head.chain.entry(head.next), body)
        head = after_entry(head.chain, head.next, body)[1]
    return head


async def told(what: str, store: MemoryStore, work: Awaitable[T]) -> T:
    before, began = Counter(store.requests), time.perf_counter()
    done = await work
    asked = store.requests - before
    requests = ", ".join(f"{count:,} {operation}" for operation, count in sorted(asked.items()))
    print(f"{what}: {asked.total():,} requests ({requests}), {time.perf_counter() - began:.1f} s", flush=True)
    return done


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000))
