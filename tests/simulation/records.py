"""What is produced, and what must become of it: told here again, apart from the product's own rules."""

import base64
import json
from collections.abc import Callable
from typing import NamedTuple

from topics import workspaces, write_keys
from topics.workspaces import Source, SourceType, Workspace, WorkspaceState
from topics.write_keys import KeyState, WriteKey
from workers.intake.policy import Policy

RECORD_BYTES = 2_000  # longer ones are oversized
DAY = 86_400_000
EPOCH = 1_764_000_000_000  # ms: 2025-11-24T16:00:00Z
MANY = 24  # small customers, beside one whale


class Fate(NamedTuple):
    """What must become of a record. `workspace` None: not stored."""

    disposition: str
    reason: str
    workspace: str | None
    source: str | None = None


ACCEPTED = {"whale": Fate("accepted", "accepted", "whale", "site")} | {
    f"small{number}": Fate("accepted", "accepted", f"small{number}", "site") for number in range(MANY)
}
FATES = ACCEPTED | {
    "broken_lines": Fate("accepted", "accepted", "whale", "site"),
    "foreign": Fate("flagged", "foreign_origin", "picky", "site"),
    "unknown": Fate("quarantined", "unknown_key", "_platform", "unclaimed"),
    "revoked": Fate("rejected", "revoked_key", None),
    "closed": Fate("rejected", "closed_workspace", None),
    "poison": Fate("dead-lettered", "not_json", "_platform", "dead-letters"),
    "no_envelope": Fate("dead-lettered", "no_envelope", "_platform", "dead-letters"),
    "oversized": Fate("dead-lettered", "oversized", "_platform", "dead-letters"),
    "empty": Fate("dead-lettered", "empty", "_platform", "dead-letters"),
    "null": Fate("dead-lettered", "empty", "_platform", "dead-letters"),
    "cursed": Fate("dead-lettered", "intake_error", "_platform", "dead-letters"),
}
REJECTED = tuple(kind for kind, fate in FATES.items() if fate.disposition == "rejected")
ORDINARY = ("whale", "whale", "small0", "small1", "foreign", "unknown", "revoked", "broken_lines", "closed")


def value_of(kind: str, number: int) -> bytes | None:
    """The bytes of record `number`, which no other record has, but for those without any."""
    if kind in _ODD:
        return _ODD[kind](number)
    return _envelope(kind, number)


def line_of(kind: str, offset: int, value: bytes | None) -> bytes:
    """The line of an object that the record must be found as."""
    fate = FATES[kind]
    if fate.disposition == "dead-lettered":
        told = base64.b64encode(value or b"").decode()
        return f'{{"offset":{offset},"reason":"{fate.reason}","bytes":"{told}"}}'.encode()
    return (value or b"").replace(b"\r", b" ").replace(b"\n", b" ")


def _envelope(key: str, number: int, *, origin: str | None = None, pad: str = "") -> bytes:
    event = {"type": "track", "n": number} | ({"pad": pad} if pad else {})
    document = {"v": 1, "writeKey": key, "receivedAt": "2025-11-24T16:00:00Z"}
    if origin is not None:
        document["origin"] = origin
    return json.dumps(document | {"event": event}, separators=(",", ":")).encode()


_ODD: dict[str, Callable[[int], bytes | None]] = {
    "empty": lambda number: b"",
    "null": lambda number: None,
    "poison": lambda number: b"\xff\xfe{%d" % number,
    "no_envelope": lambda number: b'{"v":1,"n":%d}' % number,
    "oversized": lambda number: _envelope("whale", number, pad="x" * RECORD_BYTES),
    "broken_lines": lambda number: _envelope("whale", number).replace(b',"event"', b',\r\n"event"'),
    "foreign": lambda number: _envelope("picky", number, origin="https://thief.example"),
}


class CursedPolicy(Policy):
    """One workspace makes a rule fail, whatever is asked about it."""

    def workspace(self, workspace: str) -> Workspace | None:
        if workspace == "cursed":
            raise RuntimeError("a rule has a fault")
        return super().workspace(workspace)


def policy() -> Policy:
    known = CursedPolicy()
    for record in _WORKSPACES:
        known.apply_workspace(record)
    for record in _KEYS:
        known.apply_write_key(record)
    return known


def _workspace(
    name: str, *, state: WorkspaceState = WorkspaceState.OPEN, hosts: tuple[str, ...] = ()
) -> bytes:
    source = Source(id="site", type=SourceType.BROWSER, allowed_origins=hosts)
    return workspaces.codec.encode(
        Workspace(id=name, state=state, sources=(source,), changed_at=EPOCH, shard=0, seq=1)
    )


def _key(name: str, workspace: str, state: KeyState = KeyState.ACTIVE) -> bytes:
    return write_keys.codec.encode(
        WriteKey(key=name, workspace=workspace, source="site", state=state, changed_at=EPOCH, shard=0, seq=1)
    )


_WORKSPACES = [
    *(_workspace(name) for name in (*ACCEPTED, "cursed")),
    _workspace("picky", hosts=("shop.example",)),
    _workspace("gone", state=WorkspaceState.CLOSED),
]
_KEYS = [
    *(_key(name, name) for name in (*ACCEPTED, "cursed", "picky")),
    _key("closed", "gone"),
    _key("revoked", "whale", KeyState.REVOKED),
]
