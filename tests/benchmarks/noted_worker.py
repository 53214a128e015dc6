"""`strongroom` that keeps notes for a benchmark: when it decided about which offsets, when it applied a key.

    BENCH_NOTES=FILE python -m tests.benchmarks.noted_worker worker archive

A note a chunk and one a policy record: nothing is added to what a record costs. Times are ns since the epoch;
both kinds are taken on the thread that decides, so their order is the order in which things happened. Without
BENCH_NOTES it is `strongroom`.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from workers.intake.policy import Applied, Policy
from workers.intake.runs import Run
from workers.intake.samples import Samples
from workers.intake.sort import Sorter, Sorting
from workers.roles.owner import Owner
from workers.stream.chunk import Chunk

FILE = "BENCH_NOTES"


class Decided(NamedTuple):
    """The records of one chunk: all of them were decided about between `began` and `ended`."""

    partition: int
    first: int  # offset
    last: int  # offset
    began: int  # ns
    ended: int  # ns


class AppliedKey(NamedTuple):
    """A record of write-keys; from `at` on every decision is made by it."""

    key: str
    state: str
    at: int  # ns


class Notes(NamedTuple):
    decided: list[Decided]
    applied: list[AppliedKey]


class _Key(msgspec.Struct):
    key: str
    state: str


def read(file: Path) -> Notes:
    """What a worker wrote when it stopped in order."""
    found = json.loads(file.read_text())
    return Notes(
        [Decided(*each) for each in found["decided"]], [AppliedKey(*each) for each in found["applied"]]
    )


class _Notebook:
    """Writes down what goes through the worker's own Owner, Sorter and Policy."""

    def __init__(self) -> None:
        self.decided: list[Decided] = []
        self.applied: list[tuple[bytes, int]] = []
        self._partition = -1  # of the chunk that is being taken: there is one at a time

    def open(self) -> None:
        take, sort, apply = Owner.take, Sorter.sort, Policy.apply_write_key

        async def taking(owner: Owner, chunk: Chunk) -> None:
            self._partition = chunk.partition
            await take(owner, chunk)

        def sorting(
            sorter: Sorter,
            runs: Sequence[Run],
            *,
            now: int,
            into: Sorting,
            seen: Samples | None = None,
        ) -> None:
            began = time.time_ns()
            sort(sorter, runs, now=now, into=into, seen=seen)
            if runs:
                ended = time.time_ns()
                first, last = runs[0].offsets[0], runs[-1].offsets[-1]
                note = Decided(self._partition, first, last, began, ended)
                self.decided.append(note)

        def applying(policy: Policy, value: bytes | None) -> Applied:
            outcome = apply(policy, value)
            self.applied.append((value or b"", time.time_ns()))
            return outcome

        Owner.take = taking  # type: ignore[assignment,method-assign]  # what this module is for; parameters' names differ
        Sorter.sort = sorting  # type: ignore[assignment,method-assign]  # as above
        Policy.apply_write_key = applying  # type: ignore[assignment,method-assign]  # as above

    def write(self, file: Path) -> None:
        decode = msgspec.json.Decoder(_Key).decode
        applied = []
        for value, at in self.applied:
            with contextlib.suppress(msgspec.MsgspecError):  # what can't be read was kept out
                key = decode(value)
                applied.append(AppliedKey(key.key, key.state, at))
        file.write_text(json.dumps({"decided": self.decided, "applied": applied}))


def main(arguments: Sequence[str]) -> int:
    from workers.__main__ import run  # noqa: PLC0415 - after the notebook is open

    file = os.environ.get(FILE)
    if file is None:
        return run(arguments)
    notebook = _Notebook()
    notebook.open()
    try:
        return run(arguments)
    finally:
        notebook.write(Path(file))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
