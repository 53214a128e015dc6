"""What a keystore holds, a workspace at a time, and what of it wants doing. Needs no root key."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from typing import NamedTuple

from workers.sealing.listing import units, workspaces
from workers.sealing.refusals import KeyShredded
from workers.sealing.replicas import Replicas
from workers.sealing.rows import Row, State, UnitRow, WorkspaceRow, workspace_row
from workers.store.retry import Retry

AT_ONCE = 32  # rows under way


class Standing(NamedTuple):
    """Of one workspace's keys."""

    workspace: str
    state: str
    generation: int
    generations: int
    roots: str  # fingerprints of the root keys that wrap all its generations
    units: int
    disabled: int
    tombstones: int
    older: int  # units' rows under a generation that is not the current one
    remarks: str


COLUMNS = Standing._fields


async def survey(
    replicas: Replicas, retry: Retry, *, roots: Collection[str] = (), workspace: str | None = None
) -> AsyncIterator[Standing]:
    """Every workspace, or one; `roots` are the fingerprints of the root keys that should wrap each.

    Memory: one page of names. Requests: 2 a row and bucket.
    """
    if workspace is not None:
        yield await standing(replicas, workspace, retry, roots)
        return
    async for found in workspaces(replicas.stores[0], retry):
        yield await standing(replicas, found, retry, roots)


async def standing(replicas: Replicas, workspace: str, retry: Retry, roots: Collection[str] = ()) -> Standing:
    """Raises Fatal for a row that is none."""
    name = workspace_row(workspace)
    row, remarks = await _as_found(replicas, name, retry)
    counted: Counter[str] = Counter()
    stranded = 0
    generations = {key.generation for key in row.keys} if isinstance(row, WorkspaceRow) else set()
    current = row.current if isinstance(row, WorkspaceRow) else 0
    async for names in units(replicas.stores[0], workspace, retry):
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            for unit, differs in await asyncio.gather(*(_as_found(replicas, one, retry) for one in some)):
                counted["units"] += 1
                remarks += differs
                if not isinstance(unit, UnitRow) or unit.state is State.TOMBSTONE:
                    counted["tombstones"] += 1
                    continue
                counted["disabled"] += unit.state is State.DISABLED
                counted["older"] += unit.under != current
                stranded += unit.under not in generations
    wrapping = _roots(row)
    if generations:
        remarks += [f"root key {root} does not wrap it" for root in roots if root not in wrapping]
    if len(generations) > 1:
        remarks.append("a rotation is under way")
    if stranded and generations:
        remarks.append(f"{stranded} rows are under a generation that is not there")
    return Standing(
        workspace=workspace,
        state=str(State.TOMBSTONE if row is None else row.state),
        generation=current,
        generations=len(generations),
        roots=" ".join(wrapping),
        units=counted["units"],
        disabled=counted["disabled"],
        tombstones=counted["tombstones"],
        older=counted["older"],
        remarks="; ".join(remarks),
    )


async def _as_found(replicas: Replicas, name: str, retry: Retry) -> tuple[Row | None, list[str]]:
    """The row, None for a marked one; and what is to be said where its buckets differ."""
    try:
        row = await retry.call(lambda: replicas.read(name))
    except KeyShredded:
        return None, []
    if len(replicas.stores) == 1:
        return row, []
    copies = await retry.call(lambda: replicas.copies(name))
    if any(copy != copies[0] for copy in copies):
        return row, [f"{name} differs between the buckets"]
    return row, []


def _roots(row: Row | None) -> Sequence[str]:
    if not isinstance(row, WorkspaceRow) or not row.keys:
        return ()
    return sorted(set.intersection(*(set(key.wrapped) for key in row.keys)))
