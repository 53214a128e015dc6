"""What a workspace's record becomes when somebody changes it, and from when it may delete anything. Pure.

Shortening takes effect after a grace, lengthening at once: docs/policy.md. Whatever makes something deletable
that was not, counts as shortening: fewer days, a hold lifted, a workspace closed, and a first retention,
because a missing policy means keep.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from topics.codec import wire_names
from topics.ids import checked_customer_id
from topics.workspaces import MAX_RETENTION_DAYS, Source, SourceType, Workspace, WorkspaceState, codec
from workers.errors import Poison
from workers.intake.key_states import Refused
from workers.origins.hosts import parse_pattern

GRACE_MS = 24 * 3_600_000
# on the record, but not for people to write: `workspaces show --json` prints them, so a file may hold them
STAMPED = frozenset({"v", "id", "shard", "seq", "changedAt", "effectiveFrom"})
WRITABLE = wire_names(Workspace) - STAMPED
SOURCE_FIELDS = wire_names(Source)

Json = Mapping[str, Any]


def fresh(workspace: str) -> Workspace:
    """A workspace that has nothing yet and keeps for ever."""
    return Workspace(id=checked_customer_id("workspace", workspace), changed_at=0, shard=0, seq=0)


def decided(
    before: Workspace | None, after: Workspace, *, now: int, plans: Collection[str] = ()
) -> Workspace | None:
    """`after`, as somebody wants it, with the time from which it may delete; None if it changes nothing.

    `plans` are those that may have a retention, none of them named: all. Raises Poison, in words, for what
    makes no sense, Refused for a retention on another plan. Patterns that stand are not judged again.
    """
    if before is not None and codec.encode(after) == codec.encode(before):
        return None
    for days in _limits(after):
        checked_days(days)
    _check_plan(before, after, plans)
    for source in after.sources:
        checked_customer_id("source", source.id)
    standing = set(_patterns(before)) if before else set()
    for pattern in _patterns(after):
        if pattern not in standing:
            parse_pattern(pattern)
    return msgspec.structs.replace(after, effective_from=effective_from(before, after, now))


def checked_days(days: object) -> int:
    """`days` if they can be a retention: whole, positive, at most a century. Raises Poison otherwise."""
    if isinstance(days, int | float) and not isinstance(days, bool):
        if days < 1:
            why = "it would delete what is still arriving"
        elif days > MAX_RETENTION_DAYS:
            why = "beyond 100 years it is a typing mistake"
        elif math.isnan(days) or days != int(days):
            why = "only whole days can be kept: a unit is a day in UTC"
        else:
            return int(days)
    else:
        why = "it is no number"
    raise Poison(
        f"a retention of {str(days)[:40]} days makes no sense: {why}",
        remedy=f"Give 1 to {MAX_RETENTION_DAYS}, or forever",
    )


def with_retention(workspace: Workspace, source: str | None, days: int | None) -> Workspace:
    """The workspace with another retention, None for ever; or a source of it with its own, None as the rest.

    Raises Refused for a source that it does not have.
    """
    if source is None:
        return msgspec.structs.replace(workspace, retention_days=days)
    standing = workspace.source(checked_customer_id("source", source))
    if standing is None:
        known = ", ".join(known.id for known in workspace.sources) or "none"
        raise Refused(
            f"workspace {workspace.id} has no source {source}; it has {known}",
            remedy=f"Add it: `strongroom workspaces set {workspace.id} --source {source}:browser`",
        )
    changed = msgspec.structs.replace(standing, retention_days=days)
    return msgspec.structs.replace(
        workspace, sources=tuple(changed if known.id == source else known for known in workspace.sources)
    )


def with_source(
    workspace: Workspace, source: str, kind: SourceType, patterns: tuple[str, ...] | None
) -> Workspace:
    """The workspace with a source added or changed; the others stand. `patterns` None leaves them."""
    standing = workspace.source(source) or Source(id=source)
    changed = msgspec.structs.replace(
        standing, type=kind, allowed_origins=standing.allowed_origins if patterns is None else patterns
    )
    others = tuple(other for other in workspace.sources if other.id != source)
    return msgspec.structs.replace(workspace, sources=(*others, changed))


def with_document(workspace: Workspace, document: Json) -> Workspace:
    """The workspace with the fields that `document` has (named as on the wire) in place of its own.

    Raises Poison for fields that nobody knows, and Refused where the document was made from an older record.
    """
    _check_stamps(workspace, document)
    _check_names(workspace, document)
    for part in (document, *document.get("sources", ())):
        if part.get("retentionDays") is not None:
            checked_days(part["retentionDays"])
    record: dict[str, Any] = msgspec.json.decode(codec.encode(workspace), type=dict[str, msgspec.Raw])
    record |= {name: value for name, value in document.items() if name not in STAMPED}
    return codec.decode(msgspec.json.encode(record))


def effective_from(before: Workspace | None, after: Workspace, now: int) -> int | None:
    """When `after` may begin to delete what `before` kept (ms since the epoch); None: at once."""
    if shortens(before, after):
        return now + GRACE_MS
    pending = before.effective_from if before else None
    return pending if pending is not None and pending > now else None


def shortens(before: Workspace | None, after: Workspace) -> bool:
    """Whether anything that `before` keeps can be deleted by `after`."""
    if before is None:
        return _expires(after)
    if before.legal_hold and not after.legal_hold:
        return True  # what is quarantined expires where nothing else does
    if before.state is WorkspaceState.OPEN and after.state is WorkspaceState.CLOSED:
        return True
    sources = {None} | {source.id for source in (*before.sources, *after.sources)}
    return any(_days(after, source) < _days(before, source) for source in sources)


def _limits(workspace: Workspace) -> list[int]:
    days = (workspace.retention_days, *(source.retention_days for source in workspace.sources))
    return [limit for limit in days if limit is not None]


def _check_plan(before: Workspace | None, after: Workspace, plans: Collection[str]) -> None:
    """Where a change asks for it only: who lost the right to a retention may still be put on hold."""
    if not plans or after.plan in plans or not _limits(after):
        return
    if before is not None and (before.plan, _limits(before)) == (after.plan, _limits(after)):
        return
    raise Refused(
        f"workspace {after.id} is on the plan {after.plan}, which keeps for ever",
        remedy=f"A retention goes with {', '.join(sorted(plans))}: change the plan first, or keep for ever "
        f"(`strongroom retention set {after.id} --days forever`)",
    )


def _days(workspace: Workspace, source: str | None) -> float:
    """Days that records of a source are kept; of any other source for None."""
    own = workspace.source(source) if source is not None else None
    days = own.retention_days if own and own.retention_days is not None else workspace.retention_days
    return float("inf") if days is None else days


def _expires(workspace: Workspace) -> bool:
    return workspace.state is WorkspaceState.CLOSED or any(
        _days(workspace, source) < float("inf")
        for source in (None, *(known.id for known in workspace.sources))
    )


def _patterns(workspace: Workspace) -> Iterable[str]:
    yield from workspace.allowed_origins
    for source in workspace.sources:
        yield from source.allowed_origins


def _check_stamps(workspace: Workspace, document: Json) -> None:
    if document.get("id", workspace.id) != workspace.id:
        raise Poison(f"the policy is of workspace {document['id']!r}, not of {workspace.id!r}")
    if document.get("v", workspace.version) != workspace.version:
        raise Poison(
            f"the policy is of version {document['v']!r}", remedy=f"This program writes {workspace.version}"
        )
    if document.get("seq", workspace.seq) != workspace.seq:
        raise Refused(
            f"the policy was made from change {document['seq']} of {workspace.id}; it is at {workspace.seq}",
            remedy="Look at it with `strongroom workspaces show`, and apply your change to that",
        )


def _check_names(workspace: Workspace, document: Json) -> None:
    """A field that nobody knows is a typing mistake, unless the record has it from a newer program."""
    _check_fields("a workspace", set(document) - STAMPED, WRITABLE, workspace.extra)
    sources = document.get("sources", [])
    if not isinstance(sources, list) or not all(isinstance(source, Mapping) for source in sources):
        raise Poison("sources must be a list of objects", remedy='As [{"id": "web", "type": "browser"}]')
    for source in sources:
        name = checked_customer_id("source", str(source.get("id", "")))
        standing = workspace.source(name)
        _check_fields("a source", set(source), SOURCE_FIELDS, standing.extra if standing else {})


def _check_fields(what: str, names: set[str], known: frozenset[str], extra: Json) -> None:
    if unknown := names - known - extra.keys():
        raise Poison(
            f"{what} has no {', '.join(repr(name) for name in sorted(unknown))}",
            remedy=f"It has {', '.join(sorted(known))}",
        )
