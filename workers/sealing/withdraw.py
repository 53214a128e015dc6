"""Disables, enables, tombstones keys. Needs no root key (docs/architecture.md, Withdrawn keys).

Every function may be called again after any failure, and finishes what was left undone. The row changes
first, the tombstone log then tells the caches, and the last cache lets go one life later. Older versions of a
row still hold the wrapped key: a tombstone is complete when they are deleted too.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from workers.sealing import tombstones
from workers.sealing.keys import Reader, Unit
from workers.sealing.old_versions import purge_old_versions
from workers.sealing.refusals import NoSuchKey
from workers.sealing.replicas import Replicas, shredded
from workers.sealing.rows import ReaderRow, Row, State, UnitRow, WorkspaceRow, encode, marker_of, named
from workers.store.port import IF_ABSENT, PreconditionFailed


async def disable(replicas: Replicas, names: Sequence[str], now: int) -> None:
    """Nobody reads or writes with these keys until they are enabled. Raises NoSuchKey or KeyShredded."""
    for name in names:
        await _turn(replicas, name, State.DISABLED, now)
    await tombstones.append(replicas.stores, names, State.DISABLED, now)


async def enable(replicas: Replicas, names: Sequence[str], now: int) -> None:
    """Takes `disable` back. Raises NoSuchKey or KeyShredded."""
    for name in names:
        await _turn(replicas, name, State.ACTIVE, now)


async def disable_at(replicas: Replicas, name: str, revision: int, now: int) -> bool:
    """As `disable`, of a row that nobody has changed since `revision`. False where somebody has.

    So a request that comes late, however late, disables nothing that was enabled by `enable_past` before.
    """

    def edit(row: Row) -> Row | None:
        if row.state is State.DISABLED or row.revision != revision:
            return None
        return _turned(row, State.DISABLED, now)

    row = await _change(replicas, name, edit)
    if row.state is not State.DISABLED:
        return False
    await tombstones.append(replicas.stores, [name], State.DISABLED, now)
    return True


async def enable_past(replicas: Replicas, name: str, now: int) -> None:
    """As `enable`, and no `disable_at` whose revision was read before succeeds any more."""
    least: int | None = None

    def edit(row: Row) -> Row | None:
        nonlocal least
        least = row.revision + 1 if least is None else least
        if row.state is State.ACTIVE and row.revision >= least:
            return None
        return _turned(row, State.ACTIVE, now)

    await _change(replicas, name, edit)


async def tombstone(replicas: Replicas, names: Sequence[str], now: int) -> None:
    """Replaces rows by permanent tombstones; a name without a row gets one too, and can never have a key.

    Raises Denied or Unavailable where older versions can't be deleted: the key is withdrawn by then.
    """
    buried = [await _bury(replicas, name, now) for name in names]
    await tombstones.append(replicas.stores, names, State.TOMBSTONE, now)
    for row in buried:
        for store in replicas.stores:
            with suppress(PreconditionFailed):  # marked before
                await store.put(marker_of(row.name), encode(row), condition=IF_ABSENT)
    for name in names:
        for store in replicas.stores:
            await purge_old_versions(store, name)


async def _turn(replicas: Replicas, name: str, state: State, now: int) -> None:
    def edit(row: Row) -> Row | None:
        return None if row.state is state else _turned(row, state, now)

    await _change(replicas, name, edit)


def _turned(row: Row, state: State, now: int) -> Row:
    return msgspec.structs.replace(row, state=state, revision=row.revision + 1, changed_at=now)


async def _change(replicas: Replicas, name: str, edit: Callable[[Row], Row | None]) -> Row:
    """The row as it stands afterwards. Raises NoSuchKey or KeyShredded."""

    def edit_standing(row: Row | None) -> Row | None:
        if row is None:
            raise NoSuchKey(f"there is no key {name}")
        if row.state is State.TOMBSTONE:
            raise shredded(name)
        return edit(row)

    await replicas.settled(name)  # raises KeyShredded for a row that was put back over its tombstone
    row = await replicas.changed(name, edit_standing)
    if row is None:
        raise NoSuchKey(f"there is no key {name}")
    return row


async def _bury(replicas: Replicas, name: str, now: int) -> Row:
    blank = _blank(named(name), now)

    def edit(row: Row | None) -> Row | None:
        if row is None:
            return blank
        if row.state is State.TOMBSTONE:
            return None
        return msgspec.structs.replace(blank, revision=row.revision + 1)

    row = await replicas.changed(name, edit)
    return blank if row is None else row


def _blank(owner: Unit | Reader | str, now: int) -> Row:
    """A tombstone: nothing of the key, not even its generation, outlives it."""
    if isinstance(owner, str):
        return WorkspaceRow(workspace=owner, state=State.TOMBSTONE, changed_at=now, current=0, keys=())
    if isinstance(owner, Reader):
        return ReaderRow(
            workspace=owner.workspace,
            number=owner.number,
            state=State.TOMBSTONE,
            changed_at=now,
            under=0,
            wrapped="",
            made_at=0,
            expires_at=None,
            who="",
            host="",
        )
    return UnitRow(
        workspace=owner.workspace,
        source=owner.source,
        day=owner.day,
        clock=owner.clock,
        state=State.TOMBSTONE,
        changed_at=now,
        generation=0,
        under=0,
        wrapped="",
    )
