"""A unit's key in its row, wrapped by one generation of its workspace's key. Pure."""

from msgspec.structs import replace

from workers.intake.dispositions import Clock
from workers.sealing.keys import Level, Secret, Unit, WrappingKey, new_key
from workers.sealing.refusals import Refused
from workers.sealing.rows import UnitRow, to_blob, to_text
from workers.sealing.workspaces import WorkspaceKeys, damaged


def new_row(unit: Unit, keys: WorkspaceKeys, now: int) -> UnitRow:
    """A row with a fresh key, under the workspace's current one."""
    return UnitRow(
        workspace=unit.workspace,
        source=unit.source,
        day=unit.day,
        clock=str(unit.clock),
        changed_at=now,
        generation=1,
        under=keys.current,
        wrapped=_wrapped(new_key(), unit, 1, keys),
    )


def unit_of(row: UnitRow) -> Unit:
    return Unit(row.workspace, row.source, row.day, Clock(row.clock))


def unwrapped(row: UnitRow, keys: WorkspaceKeys) -> Secret:
    """The unit's key. `keys` must hold the generation that it is under. Raises Fatal for an altered one."""
    unit = unit_of(row)
    blob = to_blob(row.wrapped, row.name)
    try:
        return _wrapping(keys, unit, row.under).unwrap(blob, _context(unit, row.generation))
    except Refused as error:
        raise damaged(row.name, error) from None


def rewrapped(row: UnitRow, keys: WorkspaceKeys, now: int) -> UnitRow:
    """The same key under the workspace's current one; nothing it sealed is touched. Raises as `unwrapped`."""
    return replace(
        row,
        under=keys.current,
        wrapped=_wrapped(unwrapped(row, keys), unit_of(row), row.generation, keys),
        revision=row.revision + 1,
        changed_at=now,
    )


def _wrapped(key: Secret, unit: Unit, generation: int, keys: WorkspaceKeys) -> str:
    return to_text(_wrapping(keys, unit, keys.current).wrap(key, _context(unit, generation)))


def _wrapping(keys: WorkspaceKeys, unit: Unit, generation: int) -> WrappingKey:
    key = keys.by_generation[generation]
    return WrappingKey(key, Level.UNIT, workspace=unit.workspace, day=unit.day, generation=generation)


def _context(unit: Unit, generation: int) -> dict[str, str]:
    return {
        "clock": str(unit.clock),
        "day": unit.day,
        "generation": str(generation),
        "source": unit.source,
        "workspace": unit.workspace,
    }
