"""Where an audit stands: enough to go on after it was stopped or killed, and come to the same report."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from workers.errors import Fatal
from workers.ledger.checkpoint import Sums
from workers.ledger.names import ChainId
from workers.ledger.verify_report import Report

FORMAT = 2
SAVE_EVERY = 5.0  # seconds


class ChainEnd(msgspec.Struct):
    """A chain as far as it was read."""

    topic: str
    topic_id: str
    incarnation: int
    partition: int
    head: (
        int | None
    )  # the highest offset that an entry of it ends with; None where there is none, nor a genesis
    next: int | None  # where the next entry is due; None behind something that can't be read
    digest: str | None  # of the newest entry's bytes, or the genesis'
    older: str | None = None  # of those before
    committed_at: int = 0  # ms since the epoch
    closing: str | None = None  # the key of its closing, once that was read
    excused: bool = False  # what was read last is named by the closing as broken
    since: int = 0  # offsets below were not read: a checkpoint vouches for them
    sums: Sums | None = None  # from the genesis on; None behind something that is wrong
    spare: tuple[int, str] | None = None  # `next` and `digest` of the entry that the newest one overlaps

    @property
    def chain(self) -> ChainId:
        return ChainId(self.topic, self.topic_id, self.incarnation, self.partition)


class Progress(msgspec.Struct):
    """`ledger` and `data` are the last keys that are wholly in the reports; None: not begun."""

    of: str  # which buckets are audited, and how
    ledger: str | None = None
    ledger_done: bool = False
    units: str | None = None  # the last key of the last unit chain that is wholly in the report
    units_done: bool = False
    data: str | None = None
    policy: Report = msgspec.field(default_factory=Report)
    chained: Report = msgspec.field(default_factory=Report)
    united: Report = msgspec.field(default_factory=Report)
    stored: Report = msgspec.field(default_factory=Report)
    listed: int = 0  # objects under data/
    beyond_head: int = 0
    chains: dict[str, ChainEnd] = msgspec.field(
        default_factory=dict
    )  # by prefix: memory by chains, not entries
    unknown: list[str] = msgspec.field(default_factory=list)  # chains that have objects and no ledger
    format: int = FORMAT

    def report(self) -> Report:
        whole = Report()
        for part in (self.policy, self.chained, self.united, self.stored):
            whole.add(part)
        return whole


class StateFile:
    """Keeps an audit's progress in a file, replaced whole, readable by its owner alone."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._saved = clock()

    def load(self, of: str) -> Progress:
        """What was kept, or a fresh start where there is no file. Raises Fatal for another audit's file."""
        try:
            body = self._path.read_bytes()
        except FileNotFoundError:
            return Progress(of)
        except OSError as error:
            raise Fatal(f"{self._path} can't be read: {error.strerror}", remedy="Name another file") from None
        try:
            kept = msgspec.json.decode(body, type=Progress)
        except msgspec.MsgspecError as error:
            raise Fatal(
                f"{self._path} is no state of an audit: {error}", remedy="Remove it, or name another file"
            ) from None
        if (kept.format, kept.of) != (FORMAT, of):
            raise Fatal(
                f"{self._path} is of another audit: {kept.of}",
                remedy="Remove it to begin anew, or name another file",
            )
        return kept

    def keep(self, progress: Progress) -> None:
        """Saves if the last time is a while ago."""
        if self._clock() - self._saved >= SAVE_EVERY:
            self.save(progress)

    def save(self, progress: Progress) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(progress))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise Fatal(
                f"the state can't be written to {self._path}: {error.strerror}", remedy="Name another file"
            ) from None
        self._saved = self._clock()

    def remove(self) -> None:
        """The audit is finished: the next one begins anew."""
        self._path.unlink(missing_ok=True)
