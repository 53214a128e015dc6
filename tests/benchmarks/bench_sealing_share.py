"""What share of a worker's CPU sealing takes: whole workers in turns, which seal and which do not.

Each worker archives the same log at full rate into a bucket of its own. Those that do not seal store what was
packed, under a header of the same size. Beside that difference, the workers that seal also time the sealing
itself, thread by thread: two measures of one thing, of which the first has the machine's noise in it.

    python -m tests.benchmarks.bench_sealing_share [RECORDS] [ROUNDS]
"""

import os
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.costs import BY_SIZE, measured
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE, fill, set_up
from tests.benchmarks.turns import own_fleet, stack
from tests.stack import ladder
from tests.system.fleet import Fleet
from workers.__main__ import run
from workers.sealing.format import Sealed
from workers.sealing.unit_key import UnitKey

TIMED = "BENCH_SEALING_SECONDS"  # a file for the CPU seconds that sealing took


class Turn(NamedTuple):
    cpu: float  # seconds of the whole worker, from its first record on
    sealing: float  # of these, by its threads' own clocks
    objects: int


def main(count: int, rounds: int) -> None:
    with stack() as (bootstrap, s3), own_fleet(bootstrap, s3) as fleet:
        fill(fleet, count)
        print(f"{count:,} records of {SIZE} bytes, {KEYS} keys, {PARTITIONS} partitions; {ladder.said()}")
        turns: dict[str, list[Turn]] = {"sealed": [], "clear": []}
        for number in range(rounds):
            for how in turns if number % 2 == 0 else reversed(turns):
                mine = replace(fleet, bucket=s3.bucket(), workers=[], command=command(how))
                turns[how].append(turn(mine, count))
                print(f"  {number + 1} {how:7}{said(turns[how][-1], count)}", flush=True)
        conclude(turns, count)


def conclude(turns: dict[str, list[Turn]], count: int) -> None:
    sealed, clear = (statistics.median(one.cpu for one in turns[how]) for how in ("sealed", "clear"))
    own = statistics.median(one.sealing / one.cpu for one in turns["sealed"])
    print(
        f"median: sealed {sealed / count * 1e6:.2f} CPU µs a record, clear {clear / count * 1e6:.2f}: "
        f"sealing is {(sealed - clear) / sealed:.1%} of the worker by on and off, "
        f"{own:.1%} by the threads' clocks"
    )


def said(one: Turn, count: int) -> str:
    return (
        f"{one.cpu / count * 1e6:8.2f} CPU µs a record; sealing itself {one.sealing / count * 1e6:.3f}, "
        f"{one.sealing / one.cpu:.1%}; {one.objects:,.0f} objects"
    )


def turn(fleet: Fleet, count: int) -> Turn:
    set_up(fleet)
    timed = fleet.folder / "sealing"
    worker = fleet.worker(
        # one flush a partition, when all is read: each turn makes as many objects
        STRONGROOM_FLUSH_BYTES=str(2**30),
        STRONGROOM_BUFFER_BYTES_MAX=str(2**31),
        STRONGROOM_GROUP=uuid.uuid4().hex,
        **BY_SIZE,
        **{TIMED: str(timed)},
    )
    try:
        cost = measured(fleet, [worker], count)
    finally:
        fleet.close()
    seconds, objects = timed.read_text().split()
    return Turn(cost.cpu, float(seconds), int(objects))


# -- the workers ---------------------------------------------------------------------------------------


def command(how: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.benchmarks.bench_sealing_share", f"--{how}")


class Counted:
    """What sealed how many objects, and the CPU seconds that its threads spent on it."""

    def __init__(self, seal: Callable[..., Sealed]) -> None:
        self.seconds, self.objects = 0.0, 0
        self._seal, self._lock = seal, threading.Lock()

    def seal(self, key: UnitKey, plain: Any, object_key: str) -> Sealed:
        begun = time.thread_time()
        sealed = self._seal(key, plain, object_key)
        with self._lock:
            self.seconds += time.thread_time() - begun
            self.objects += 1
        return sealed


class Clear:
    """Bodies as they were packed, under a header of the same size."""

    def __init__(self, seal: Callable[..., Sealed]) -> None:
        self._seal = seal
        self._headers: dict[int, dict[str, str]] = {}  # length of a name → a header for such a name

    def seal(self, key: UnitKey, plain: Any, object_key: str) -> Sealed:
        header = self._headers.get(len(object_key))
        if header is None:
            header = self._headers[len(object_key)] = self._seal(key, b"", object_key).metadata
        return Sealed(plain, header)


def work(how: str, arguments: list[str]) -> int:
    counted = Counted(UnitKey.seal if how == "--sealed" else Clear(UnitKey.seal).seal)

    def seal(key: UnitKey, plain: Any, object_key: str) -> Sealed:
        return counted.seal(key, plain, object_key)

    UnitKey.seal = seal  # type: ignore[method-assign, assignment]  # measured in its place
    code = run(arguments)
    if TIMED in os.environ:
        Path(os.environ[TIMED]).write_text(f"{counted.seconds} {counted.objects}")
    return code


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--sealed" | "--clear" as how, *arguments]:
            sys.exit(work(how, arguments))
        case [count, rounds]:
            main(int(count), int(rounds))
        case [count]:
            main(int(count), 3)
        case _:
            main(300_000, 3)
