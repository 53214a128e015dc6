"""L1: the workspaces' keys, unwrapped by a root and kept until they are withdrawn."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from workers.errors import Fatal
from workers.sealing.flights import Flights
from workers.sealing.keys import Secret, new_key
from workers.sealing.refusals import KeyDisabled, NoSuchKey, Refused
from workers.sealing.replicas import Replicas, shredded
from workers.sealing.roots import Roots, root_context
from workers.sealing.rows import (
    ReaderRow,
    Row,
    State,
    UnitRow,
    WorkspaceKey,
    WorkspaceRow,
    to_blob,
    to_text,
    workspace_row,
)

R = TypeVar("R", UnitRow, WorkspaceRow, ReaderRow)


@dataclass(frozen=True, slots=True, repr=False)
class WorkspaceKeys:
    """A workspace's keys by generation; `current` wraps new units."""

    current: int
    by_generation: dict[int, Secret]
    durable: bool  # the row is in every bucket


class Workspaces:
    """The last `keep` workspaces' keys."""

    def __init__(self, replicas: Replicas, roots: Roots, *, keep: int, now: Callable[[], int]) -> None:
        self._replicas = replicas
        self._roots = roots
        self._keep = keep
        self._now = now
        self._cached: OrderedDict[str, WorkspaceKeys] = OrderedDict()
        self._flights = Flights()
        self._forgotten = 0  # times: what was being loaded meanwhile may be stale

    async def keys(self, workspace: str, *, create: bool, generation: int | None = None) -> WorkspaceKeys:
        """The workspace's keys, `generation` among them. Raises as Keystore.unit_key does."""
        keys = await self._found(workspace, create)
        if generation is not None and generation not in keys.by_generation:  # rotated since it was cached
            self._cached.pop(workspace, None)
            keys = await self._found(workspace, create)
            if generation not in keys.by_generation:
                raise Fatal(
                    f"{workspace_row(workspace)} lacks generation {generation}, and rows are wrapped by it",
                    remedy="Restore it from its versions",
                )
        return keys

    def forget(self, workspaces: Iterable[str]) -> None:
        self._forgotten += 1
        for workspace in workspaces:
            self._cached.pop(workspace, None)

    def forget_all(self) -> None:
        self.forget(list(self._cached))

    async def _found(self, workspace: str, create: bool) -> WorkspaceKeys:
        keys = self._cached.get(workspace)
        if keys is None or (create and not keys.durable):
            return await self._flights.join((workspace, create), lambda: self._load(workspace, create))
        self._cached.move_to_end(workspace)
        return keys

    async def _load(self, workspace: str, create: bool) -> WorkspaceKeys:
        name = workspace_row(workspace)
        while True:
            forgotten = self._forgotten
            row = await (self._replicas.settled(name) if create else self._replicas.read(name))
            if row is None and not create:
                raise missing(name)
            if row is None:
                row = await self._replicas.created(await self._new_row(workspace))
            standing = usable(row, name, WorkspaceRow)
            found = {key.generation: await self._unwrapped(workspace, key) for key in standing.keys}
            if forgotten == self._forgotten:
                break
        if standing.current not in found:
            raise Fatal(f"{name} lacks its current generation", remedy="Restore it from its versions")
        keys = self._cached[workspace] = WorkspaceKeys(standing.current, found, durable=create)
        while len(self._cached) > self._keep:
            self._cached.popitem(last=False)
        return keys

    async def _new_row(self, workspace: str) -> WorkspaceRow:
        key = await new_workspace_key(self._roots, workspace, 1)
        return WorkspaceRow(workspace=workspace, changed_at=self._now(), current=1, keys=(key,))

    async def _unwrapped(self, workspace: str, key: WorkspaceKey) -> Secret:
        name = workspace_row(workspace)
        wrapped = {root: to_blob(text, name) for root, text in key.wrapped.items()}
        try:
            return await self._roots.unwrap(wrapped, root_context(workspace, key.generation))
        except Refused as error:
            raise damaged(name, error) from None


async def new_workspace_key(roots: Roots, workspace: str, generation: int) -> WorkspaceKey:
    """A fresh key, wrapped by every root. Raises as Roots.wrap_all."""
    wrapped = await roots.wrap_all(new_key(), root_context(workspace, generation))
    return WorkspaceKey(
        generation=generation, wrapped={root: to_text(blob) for root, blob in wrapped.items()}
    )


def usable(row: Row, name: str, kind: type[R]) -> R:
    """Raises KeyShredded or KeyDisabled."""
    if row.state is State.TOMBSTONE:
        raise shredded(name)
    if row.state is State.DISABLED:
        raise KeyDisabled(
            f"key {name} is disabled", remedy="It is about to be disposed of, unless it is enabled"
        )
    if not isinstance(row, kind):
        raise Fatal(f"{name} is a {row.__class__.__name__}", remedy="Restore it from its versions")
    return row


def damaged(name: str, error: Refused) -> Fatal:
    return Fatal(
        f"{name} was altered: {error.message}",
        remedy="Restore it from its versions, or from the second bucket",
    )


def missing(name: str) -> NoSuchKey:
    return NoSuchKey(f"there is no key {name}", remedy="Restore its row from the bucket's versions")
