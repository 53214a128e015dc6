"""A unit's key on its way out: disabled, enabled again if the disposal is called off, destroyed."""

from workers.errors import Fatal
from workers.sealing.keys import Unit
from workers.sealing.old_versions import purge_old_versions
from workers.sealing.refusals import KeyShredded, NoSuchKey
from workers.sealing.replicas import Replicas
from workers.sealing.rows import Row, State, unit_row
from workers.sealing.withdraw import disable_at, enable_past, tombstone
from workers.store.retry import Retry


async def revision(rows: Replicas, unit: Unit, retry: Retry) -> int | None:
    """Of the row as it stands; None: the key is shredded already.

    Raises Fatal where the keystore has never heard of it: what was sealed had a key, so this is no keystore
    of this archive's, and to write a tombstone here would destroy nothing, and prove it.
    """
    name = unit_row(unit)
    try:
        row = await retry.call(lambda: rows.settled(name))
    except KeyShredded:
        return None
    if row is None:
        raise Fatal(
            f"{'/'.join(unit)} has objects, and the keystore no key of it: there is no key {name}",
            remedy="Give STRONGROOM_KEYSTORE_BUCKET, and its second one, the archive workers' values",
        )
    return None if row.state is State.TOMBSTONE else row.revision


async def disabled(rows: Replicas, unit: Unit, at: int, retry: Retry, now: int) -> bool:
    """Nobody reads or seals with it any more, a cache life from now. `at`: the row's revision.

    False: the row was changed since, or shredded.
    """
    try:
        return await retry.call(lambda: disable_at(rows, unit_row(unit), at, now))
    except KeyShredded:
        return False


async def enabled(rows: Replicas, unit: Unit, retry: Retry, now: int) -> bool:
    """So that nobody who read the row's revision before disables it afterwards. False: there is no key."""
    try:
        await retry.call(lambda: enable_past(rows, unit_row(unit), now))
    except (NoSuchKey, KeyShredded):
        return False
    return True


async def destroyed(rows: Replicas, unit: Unit, retry: Retry, now: int) -> int:
    """For good, in every bucket and version; returns since when (ms since the epoch).

    May be called again: what was left undone is done. A unit without a key can never have one afterwards.
    """
    return await row_destroyed(rows, unit_row(unit), retry, now)


async def row_destroyed(rows: Replicas, name: str, retry: Retry, now: int) -> int:
    """As `destroyed`, of any row of the keystore."""
    found = await retry.call(lambda: _tombstones(rows, name))
    if not found:
        await retry.call(lambda: tombstone(rows, [name], now))
        found = [row for row in await retry.call(lambda: rows.copies(name)) if row is not None]
    else:
        for store in rows.stores:
            await retry.call(lambda store=store: purge_old_versions(store, name))  # type: ignore[misc] # bound early
    return max((row.changed_at for row in found if row.state is State.TOMBSTONE), default=now)


async def _tombstones(rows: Replicas, name: str) -> list[Row]:
    """Of every bucket, where every bucket holds one and its marker; none otherwise."""
    try:
        await rows.settled(name)
    except KeyShredded:
        found = [row for row in await rows.copies(name) if row is not None and row.state is State.TOMBSTONE]
        return found if len(found) == len(rows.stores) else []
    return []
