"""What sealing costs beside bare AES-GCM, in phases of one run: `python -m tests.benchmarks.bench_seal`.

The phases take turns on the same bytes, so their ratios hold whatever else the machine is doing.
"""

import asyncio
import os
import time
import tracemalloc
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.intake.dispositions import Clock
from workers.sealing.format import IV, SUITE, seal
from workers.sealing.keys import Unit, context_of, new_key
from workers.sealing.keystore import Keystore
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.unit_key import Lease, UnitKey
from workers.store.memory import MemoryStore

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
OBJECT = "data/ws=acme/src=web/day=2026-11-25/accepted/raw-events-AAAAAAAAAAAAAAAAAAAAAA.0-00000-1.ndjson.zst"
SIZES = (("20 KB", 20_000), ("50 KB", 50_000), ("1 MiB", 1 << 20))
ROUNDS = 30


def timed(work: Callable[[], object], times: int) -> float:
    """µs a call."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begun) / times * 1e6


def best_of_turns(phases: dict[str, Callable[[], object]], times: int) -> dict[str, float]:
    """The quietest of the rounds, in which the phases take turns."""
    best = dict.fromkeys(phases, float("inf"))
    for _ in range(ROUNDS):
        for name, work in phases.items():
            best[name] = min(best[name], timed(work, times))
    return best


def sealing() -> None:
    key = UnitKey(UNIT, new_key(), generation=1, durable=True, lease=Lease(float("inf")))
    bare, context, dek = AESGCM(new_key()), context_of(UNIT, OBJECT), new_key()
    print(f"{'':8}{'bare AES-GCM':>14}{'format.seal':>14}{'UnitKey.seal':>14}{'ratio':>8}{'open':>10}")
    for name, size in SIZES:
        plain = os.urandom(size)
        body, metadata = key.seal(plain, OBJECT)
        best = best_of_turns(
            {
                "bare": lambda plain=plain: bare.encrypt(IV, plain, SUITE),  # type: ignore[misc]  # bound early
                "format": lambda plain=plain: seal(  # type: ignore[misc]  # bound early
                    plain, dek=dek, msgid=bytes(28), wrapped=bytes(87), context=context
                ),
                "unit": lambda plain=plain: key.seal(plain, OBJECT),  # type: ignore[misc]  # bound early
                "open": lambda body=body, metadata=metadata: key.open(body, metadata, OBJECT),  # type: ignore[misc]  # bound early
            },
            times=max(4, 2_000_000 // size),
        )
        print(
            f"{name:8}{best['bare']:11.1f} µs{best['format']:11.1f} µs{best['unit']:11.1f} µs"
            f"{best['unit'] / best['bare']:8.2f}{best['open']:7.1f} µs"
        )


async def handing_out() -> None:
    keystore = Keystore([MemoryStore()], Roots([FileRoot(bytes(32))]), life=300)
    units = [UNIT._replace(source=f"source-{number}") for number in range(200)]
    begun = time.perf_counter()
    await asyncio.gather(*(keystore.unit_key(unit, create=True) for unit in units))
    cold = time.perf_counter() - begun
    rounds = 200
    begun = time.perf_counter()
    for _ in range(rounds):
        for unit in units:
            await keystore.unit_key(unit, create=True)
    warm = (time.perf_counter() - begun) / rounds / len(units)
    print(f"200 new rows {cold / 200 * 1e6:.0f} µs each (store in memory) · a warm key {warm * 1e6:.2f} µs")


async def keeping() -> None:
    count = 20_000
    store = MemoryStore()
    await Keystore([store], Roots([FileRoot(bytes(32))]), life=300, units_max=10).prepare(
        UNIT._replace(source=f"source-{number}") for number in range(count)
    )
    keystore = Keystore([store], Roots([FileRoot(bytes(32))]), life=300)
    tracemalloc.start()
    for number in range(count):
        await keystore.unit_key(UNIT._replace(source=f"source-{number}"), create=False)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"a cached key takes {held / count:.0f} bytes of Python's memory")


if __name__ == "__main__":
    sealing()
    asyncio.run(handing_out())
    asyncio.run(keeping())
