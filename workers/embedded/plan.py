"""What a demo does: customers and keys to set up, lines to send, keys to revoke, what must come of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from topics.workspaces import Source, SourceType, Workspace, WorkspaceState
from topics.write_keys import KEY, KeyState, WriteKey
from workers import sample
from workers.by import By
from workers.event_files import Record, Tally, Wrapping, as_record, open_events
from workers.intake import key_states
from workers.ledger.policy_commands import Books, set_workspace

OWN_WORKSPACE, OWN_SOURCE, OWN_KEY = "demo", "web", "demo-write-key"  # of a file that the user brought
KEYS_MAX = 200  # write keys of such a file that are registered; the others are unknown, and quarantined

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]  # workspace → disposition → reason → records


@dataclass(frozen=True, slots=True)
class KeyPlan:
    key: str
    workspace: str
    source: str
    state: KeyState = KeyState.ACTIVE
    reason: str = ""
    until_after_ms: int | None = None  # of a retiring key


@dataclass(frozen=True, slots=True)
class Revocation:
    """Of a key, once that many records are archived."""

    key: str
    after_records: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    workspaces: tuple[Workspace, ...]
    keys: tuple[KeyPlan, ...]
    revocations: tuple[Revocation, ...]
    records: int
    expected: Counts | None  # None: nobody knows


def sample_plan() -> Plan:
    """Of workers/sample/policy.json (its README.md says what each field means)."""
    policy = sample.policy()
    return Plan(
        workspaces=tuple(_workspace(each) for each in policy["workspaces"]),
        keys=tuple(
            KeyPlan(
                each["key"],
                each["workspace"],
                each["source"],
                KeyState(each["state"]),
                each["reason"],
                each["untilAfterMs"],
            )
            for each in policy["keys"]
        ),
        revocations=tuple(
            Revocation(each["key"], each["afterRecords"], each["reason"]) for each in policy["revokeDuring"]
        ),
        records=policy["records"],
        expected=policy["expected"],
    )


def file_plan(file: str) -> Plan:
    """One open workspace that owns the write keys of the file. Raises Unsendable."""
    keys: dict[str, None] = {}
    tally = Tally()
    with open_events(file) as events:
        for line in events.lines(tally):
            record = as_record(line, Wrapping(OWN_KEY))
            tally.lines[record.kind] += 1
            key = (record.key or b"").decode()
            if len(keys) < KEYS_MAX and KEY.match(key):
                keys[key] = None
    source = Source(id=OWN_SOURCE, type=SourceType.BROWSER)
    return Plan(
        workspaces=(Workspace(id=OWN_WORKSPACE, sources=(source,), changed_at=0, shard=0, seq=0),),
        keys=tuple(KeyPlan(key, OWN_WORKSPACE, OWN_SOURCE) for key in keys),
        revocations=(),
        records=tally.records,
        expected=None,
    )


@contextmanager
def records(file: str | None) -> Iterator[Iterable[Record]]:
    """What to send, in order: the sample's lines as they are, or those of the user's file."""
    if file is None:
        yield (as_record(line, Wrapping()) for line in sample.lines())
        return
    with open_events(file) as events:
        yield (as_record(line, Wrapping(OWN_KEY)) for line in events.lines(Tally()))


async def set_up(books: Books, plan: Plan, by: By) -> None:
    """Makes the workspaces and keys, each brought to its state by the changes that a person would make."""
    for wanted in plan.workspaces:
        await _set(books, msgspec.structs.replace(wanted, state=WorkspaceState.OPEN), by)
    await books.keys.change({key.key: _register(key, by) for key in plan.keys}, by)
    ending = [key for key in plan.keys if key.state is not KeyState.ACTIVE]
    await books.keys.change({key.key: _end(key, by) for key in ending}, by)
    for wanted in plan.workspaces:
        if wanted.state is WorkspaceState.CLOSED:  # only now, because a closed one takes no keys
            await _set(books, wanted, by)


async def _set(books: Books, wanted: Workspace, by: By) -> None:
    def edit(standing: Workspace) -> Workspace:
        return msgspec.structs.replace(
            wanted, changed_at=standing.changed_at, shard=standing.shard, seq=standing.seq
        )

    await set_workspace(books, wanted.id, edit, by)


def _register(key: KeyPlan, by: By) -> Callable[[WriteKey | None], WriteKey]:
    active = WriteKey(
        key=key.key,
        workspace=key.workspace,
        source=key.source,
        state=KeyState.ACTIVE,
        changed_at=by.now,
        shard=0,
        seq=0,
    )
    return lambda before: active


def _end(key: KeyPlan, by: By) -> Callable[[WriteKey | None], WriteKey]:
    until = None if key.until_after_ms is None else by.now + key.until_after_ms

    def edit(before: WriteKey | None) -> WriteKey:
        standing = key_states.leaving(before, key.key, key.state)
        return msgspec.structs.replace(standing, state=key.state, until=until, reason=key.reason)

    return edit


def _workspace(described: Mapping[str, Any]) -> Workspace:
    return Workspace(
        id=described["id"],
        state=WorkspaceState(described["state"]),
        plan=described["plan"],
        retention_days=described["retentionDays"],
        allowed_origins=tuple(described["allowedOrigins"]),
        sources=tuple(
            Source(
                id=each["id"], type=SourceType(each["type"]), allowed_origins=tuple(each["allowedOrigins"])
            )
            for each in described["sources"]
        ),
        changed_at=0,  # these three are the policy book's
        shard=0,
        seq=0,
    )
