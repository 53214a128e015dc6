"""A pass of the steward over an archive in memory: requests, time, and what it remembers.

`python -m tests.benchmarks.bench_sweep [OBJECTS]`; 1 in 100 objects is an orphan, an entry lists 40.
"""

import asyncio
import resource
import sys
import time

from tests.unit.ledger.world import TOPIC_ID, WRITER, retry
from workers.intake.dispositions import Clock, Disposition, Group
from workers.ledger import entries
from workers.ledger.entries import Entry, Genesis, StoredObject
from workers.ledger.names import ChainId
from workers.ledger.sweep import Terms, sweep
from workers.store.memory import MemoryStore

AN_ENTRY = 40  # objects
RECORDS = 1000  # an entry


async def fill(store: MemoryStore, objects: int) -> None:
    chain = ChainId("raw-events", TOPIC_ID, 1, 0)
    place = {"topic": chain.topic, "topic_id": chain.topic_id, "incarnation": 1, "partition": 0}
    genesis = Genesis(**place, first=0, attempt="0" * 16, writer=WRITER, created_at=1)  # type: ignore[arg-type] # above
    previous = entries.encode(genesis)
    await store.put(chain.genesis, previous)
    for number in range(objects // AN_ENTRY):
        first, attempt = number * RECORDS, f"{number:016x}"
        stored = []
        for each in range(AN_ENTRY):
            group = Group(f"ws{each}", "web", "2026-11-25", Disposition.ACCEPTED, Clock.MAIN)
            key = chain.data(group, first, first + RECORDS, attempt)
            stored.append(StoredObject(key, *group, RECORDS // AN_ENTRY, 100, 100, "0" * 64, 1))
            await store.put(key, b"sealed")
            if (number * AN_ENTRY + each) % 100 == 0:
                await store.put(chain.data(group, first, first + RECORDS, "f" * 16), b"sealed")
        entry = Entry(
            **place,  # type: ignore[arg-type] # as above
            first=first,
            next=first + RECORDS,
            previous=entries.digest(previous),
            anchor=None,
            attempt=attempt,
            writer=WRITER,
            committed_at=1,
            policy={},
            counts={Disposition.ACCEPTED: {"accepted": RECORDS}},
            gaps=0,
            objects=tuple(stored),
        )
        previous = entries.encode(entry)
        await store.put(chain.entry(first), previous)


async def main(objects: int) -> None:
    store = MemoryStore()
    await fill(store, objects)
    before, store.requests = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, type(store.requests)()
    now = time.time_ns() // 1_000_000
    begun = time.perf_counter()
    found = await sweep(store, store, retry(), now, Terms(delete=True, grace=0))
    seconds = time.perf_counter() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{found.objects} objects, {found.swept} swept: {seconds:.1f} s, "
        f"{dict(store.requests)}, +{grown:.0f} MiB"
    )
    store.requests.clear()
    begun = time.perf_counter()
    again = await sweep(store, store, retry(), now + 7_200_000, Terms(delete=True, since=now + 3_600_000))
    print(f"settled: {again.objects} objects in {time.perf_counter() - begun:.1f} s, {dict(store.requests)}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
