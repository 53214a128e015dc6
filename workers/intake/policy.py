"""A worker's copy of policy in memory: write keys, workspaces, verdicts, as the compacted topics bring them.

It keeps the highest `seq` a key, so any order of delivery ends in the same copy, and takes nothing that could
bring back what was stopped: no tombstone, no garbage, no way out of a final state (docs/policy.md).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import msgspec

from topics import origin_verdicts, workspaces, write_keys
from topics.ids import Reason
from topics.origin_verdicts import OriginVerdict, VerdictKind
from topics.workspaces import Workspace
from topics.write_keys import KeyState, WriteKey
from workers.errors import Poison
from workers.intake import verdict_states
from workers.intake.disposed import Disposed
from workers.intake.dispositions import Clock
from workers.intake.key_states import TRANSITIONS

FINAL = frozenset(state for state in KeyState if not TRANSITIONS[state])
COPIES_PER_KEY = 1000  # hosts that the judge called copies: anybody can have names without number


class KnownKey(msgspec.Struct, frozen=True, gc=False):
    """What the rules need of a topics.write_keys.WriteKey: a fifth of its memory, for a million of them."""

    workspace: str
    source: str
    state: KeyState
    until: int | None  # ms since the epoch: when a retiring key ends
    seq: int


class KnownVerdict(msgspec.Struct, frozen=True, gc=False):
    """Of a (write key, host)."""

    kind: VerdictKind
    seq: int


Verdicts = Mapping[str, KnownVerdict]  # by host
NO_VERDICTS: Verdicts = MappingProxyType({})


class _PlainKey(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, forbid_unknown_fields=True
):
    """A WriteKey of this version alone, without its patterns: it is decoded in a fifth of the time."""

    v: Literal[1]
    key: str
    workspace: str
    source: str
    state: KeyState
    until: int | None
    reason: Reason
    changed_at: int
    shard: int
    seq: int


_decode_plain = msgspec.json.Decoder(_PlainKey).decode


class Applied(StrEnum):
    """What became of a policy record."""

    APPLIED = "applied"
    OLDER = "older"  # the copy has this change or a later one
    TOMBSTONE = "tombstone"  # kept out: a deleted revocation would make the key an unknown one
    UNREADABLE = "unreadable"  # kept out: no value of this topic
    FINAL = "final"  # kept out: it would bring back a revoked or abused key, or undo the customer's word
    BEYOND = "beyond"  # kept out: one more of a key's copies than are remembered


KEPT_OUT = frozenset({Applied.TOMBSTONE, Applied.UNREADABLE, Applied.FINAL, Applied.BEYOND})

Touched = Callable[[str], None]


class Policy:
    """Not for threads: whoever reads a decision of it applies changes on the same thread."""

    def __init__(self) -> None:
        self._keys: dict[str, KnownKey] = {}
        self._workspaces: dict[str, Workspace] = {}
        self._verdicts: dict[str, dict[str, KnownVerdict]] = {}  # write key → host → what is said of it
        # ids that were checked; one string for the many keys that name a workspace or source
        self._workspace_ids: dict[str, str] = {}
        self._source_ids: dict[str, str] = {}
        self._followers: list[tuple[Touched, Touched]] = []
        # whoever feeds it says whether its verdicts are too old to believe
        self.verdicts_stale: Callable[[], bool] = lambda: False
        self.kept_out: Counter[tuple[str, Applied]] = Counter()  # (topic, kind) → records
        # workspaces whose newest record was kept out: what it said may have been a legal hold
        self.in_doubt: set[str] = set()
        self.disposed = Disposed()

    def write_key(self, key: str) -> KnownKey | None:
        return self._keys.get(key)

    def workspace(self, workspace: str) -> Workspace | None:
        return self._workspaces.get(workspace)

    def verdicts(self, key: str) -> Verdicts:
        """On hosts that send with this write key; none that is only suspect, for it changes nothing."""
        return self._verdicts.get(key, NO_VERDICTS)

    @property
    def judged(self) -> Collection[str]:
        """Write keys that have verdicts."""
        return self._verdicts.keys()

    @property
    def workspaces(self) -> Mapping[str, Workspace]:
        """All of them, by id."""
        return self._workspaces

    def __len__(self) -> int:
        return len(self._keys)

    def follow(self, write_key: Touched, workspace: Touched) -> None:
        """From now on calls `write_key` with each key that changes, or on whose hosts a verdict does;
        `workspace` with each workspace's id."""
        self._followers.append((write_key, workspace))

    def disposed_of(self, workspace: str, source: str, day: str, clock: Clock) -> None:
        """Of this day (UTC, YYYY-MM-DD) nothing can be stored any more, whatever the term is now."""
        self.disposed.add(workspace, source, day, clock)
        for _, touched in self._followers:
            touched(workspace)

    def apply_write_key(self, value: bytes | None) -> Applied:
        """Takes one record of write-keys; whatever it holds, nothing is raised."""
        outcome = self._apply_write_key(value)
        if outcome in KEPT_OUT:
            self.kept_out[write_keys.NAME, outcome] += 1
        return outcome

    def apply_workspace(self, value: bytes | None, key: bytes | None = None) -> Applied:
        """Takes one record of workspaces; whatever it holds, nothing is raised.

        `key`, the record's, says whose it was meant to be where its value can't.
        """
        outcome = self._apply_workspace(value)
        if outcome in KEPT_OUT:
            self.kept_out[workspaces.NAME, outcome] += 1
            meant = (key or b"").decode(errors="replace")
            if meant in self._workspaces:
                self.in_doubt.add(meant)
        return outcome

    def apply_verdict(self, value: bytes | None) -> Applied:
        """Takes one record of origin-verdicts; whatever it holds, nothing is raised."""
        outcome = self._apply_verdict(value)
        if outcome in KEPT_OUT:
            self.kept_out[origin_verdicts.NAME, outcome] += 1
        return outcome

    def _apply_write_key(self, value: bytes | None) -> Applied:
        if value is None:
            return Applied.TOMBSTONE
        try:
            new = self._plain(value) or write_keys.codec.decode(value)
        except Poison:
            return Applied.UNREADABLE
        known = self._keys.get(new.key)
        if known is not None:
            if new.seq <= known.seq:
                return Applied.OLDER
            if known.state in FINAL and new.state is not known.state:
                return Applied.FINAL
        self._keys[new.key] = KnownKey(
            self._workspace_ids.setdefault(new.workspace, new.workspace),
            self._source_ids.setdefault(new.source, new.source),
            new.state,
            new.until,
            new.seq,
        )
        for write_key, _ in self._followers:
            write_key(new.key)
        return Applied.APPLIED

    def _plain(self, value: bytes) -> _PlainKey | None:
        """`value` if the codec would take it, and it holds nothing that only the codec can judge."""
        try:
            new = _decode_plain(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        fits = (
            len(value) <= WriteKey.max_bytes
            and new.workspace in self._workspace_ids
            and new.source in self._source_ids
            and (new.until is not None or new.state is not KeyState.RETIRING)
            # as write_keys.KEY: visible ASCII
            and 0 < len(new.key) <= 128
            and new.key.isascii()
            and new.key.isprintable()
            and " " not in new.key
        )
        return new if fits else None

    def _apply_workspace(self, value: bytes | None) -> Applied:
        if value is None:
            return Applied.TOMBSTONE
        try:
            new = workspaces.codec.read(value)
        except Poison:
            return Applied.UNREADABLE
        known = self._workspaces.get(new.id)
        if known is not None and new.seq < known.seq:
            return Applied.OLDER
        self.in_doubt.discard(new.id)
        if known is not None and new.seq == known.seq:  # published again, as `policy publish` does
            return Applied.OLDER
        self._workspaces[new.id] = new
        for _, workspace in self._followers:
            workspace(new.id)
        return Applied.APPLIED

    def _apply_verdict(self, value: bytes | None) -> Applied:
        if value is None:
            return Applied.TOMBSTONE
        try:
            new = origin_verdicts.codec.read(value)
        except Poison:
            return Applied.UNREADABLE
        of_key = self._verdicts.get(new.key, {})
        known = of_key.get(new.host)
        outcome = _outcome(known, new, len(of_key))
        if outcome is Applied.APPLIED and (known is not None or new.kind is not VerdictKind.SUSPECT):
            self._verdicts[new.key] = of_key
            of_key[new.host] = KnownVerdict(new.kind, new.seq)
            if known is None or known.kind is not new.kind:
                for write_key, _ in self._followers:
                    write_key(new.key)
        return outcome


def _outcome(known: KnownVerdict | None, new: OriginVerdict, hosts: int) -> Applied:
    """`hosts`: of the key, on which there are verdicts."""
    if known is None:
        beyond = new.kind is VerdictKind.COPY and hosts >= COPIES_PER_KEY
        return Applied.BEYOND if beyond else Applied.APPLIED
    if new.seq <= known.seq:
        return Applied.OLDER
    if new.kind is not known.kind and new.kind not in verdict_states.TRANSITIONS[known.kind]:
        return Applied.FINAL
    return Applied.APPLIED
