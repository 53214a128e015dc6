"""Wraps the workspaces' keys by exactly the root keys that are held here (docs/operations.md, Routine).

Neither units' rows nor objects are touched. It may be done again at any time, and is gone on with after a
kill by being done again: a row that is as it should be is left as it is.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from workers.sealing.listing import workspaces
from workers.sealing.refusals import KeyShredded, Refused
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots, root_context
from workers.sealing.rows import Row, State, WorkspaceKey, WorkspaceRow, to_blob, to_text, workspace_row
from workers.sealing.workspaces import damaged
from workers.store.port import Unavailable
from workers.store.retry import Retry

ROUNDS = 8  # of finding the row changed by somebody else


class RootPass(NamedTuple):
    """What one pass over all workspaces met."""

    workspaces: int = 0
    rewrapped: int = 0
    tombstones: int = 0


async def rewrap_all(
    replicas: Replicas,
    roots: Roots,
    *,
    retry: Retry,
    now: Callable[[], int],
    advance: Callable[[int], None] = lambda workspaces: None,
) -> RootPass:
    """One pass. Raises Fatal for a workspace whose key none of `roots` opens, and leaves it as it is."""
    met: list[bool | None] = []
    async for workspace in workspaces(replicas.stores[0], retry):
        met.append(await _rewrap(replicas, roots, workspace, retry=retry, now=now))
        advance(1)
    return RootPass(len(met), met.count(True), met.count(None))


async def _rewrap(
    replicas: Replicas, roots: Roots, workspace: str, *, retry: Retry, now: Callable[[], int]
) -> bool | None:
    """Whether its row was changed; None for a tombstone."""
    name = workspace_row(workspace)
    for tried in range(ROUNDS):
        try:
            row = await retry.call(partial(replicas.settled, name))
        except KeyShredded:
            return None
        if not isinstance(row, WorkspaceRow) or row.state is State.TOMBSTONE:
            return None
        if all(set(key.wrapped) == set(roots.fingerprints) for key in row.keys):
            return tried > 0
        wanted = replace(
            row,
            keys=tuple([await retry.call(partial(_wrapped, roots, row, key)) for key in row.keys]),
            revision=row.revision + 1,
            changed_at=now(),
        )
        await retry.call(partial(replicas.changed, name, partial(_unless_changed, row, wanted)))
    raise Unavailable(f"{replicas.stores[0].name}/{name}: others kept changing it")


def _unless_changed(seen: Row, wanted: Row, found: Row | None) -> Row | None:
    """For Replicas.changed: `wanted` in the place of `seen` alone."""
    return wanted if found == seen else None


async def _wrapped(roots: Roots, row: WorkspaceRow, key: WorkspaceKey) -> WorkspaceKey:
    wrapped = {root: to_blob(text, row.name) for root, text in key.wrapped.items()}
    try:
        found = await roots.rewrap(wrapped, root_context(row.workspace, key.generation))
    except Refused as error:
        raise damaged(row.name, error) from None
    return replace(key, wrapped={root: to_text(blob) for root, blob in found.items()})
