"""A reader's secret in its row, wrapped by one generation of its workspace's key. Pure."""

import base64
from collections.abc import Mapping

from msgspec.structs import replace

from topics.times import iso_ms
from workers.by import By
from workers.sealing.keys import Level, Reader, Secret, WrappingKey
from workers.sealing.refusals import Refused
from workers.sealing.rows import ReaderRow, to_blob, to_text
from workers.sealing.workspaces import WorkspaceKeys, damaged


def new_row(reader: Reader, key: Secret, keys: WorkspaceKeys, *, expires_at: int | None, by: By) -> ReaderRow:
    """`key`: 32 bytes, under the workspace's current one; it signs as `secret_text` has it."""
    row = ReaderRow(
        workspace=reader.workspace,
        number=reader.number,
        changed_at=by.now,
        under=keys.current,
        wrapped="",
        made_at=by.now,
        expires_at=expires_at,
        who=by.who,
        host=by.host,
    )
    return replace(row, wrapped=_wrapped(row, key, keys))


def secret_text(key: Secret) -> str:
    """The secret access key as its owner has it: URL-safe Base64, 43 characters."""
    return base64.urlsafe_b64encode(key).decode("ascii").rstrip("=")


def unwrapped(row: ReaderRow, keys: WorkspaceKeys) -> Secret:
    """`keys` must hold the generation that it is under. Raises Fatal for an altered row."""
    blob = to_blob(row.wrapped, row.name)
    try:
        return _wrapping(row, keys, row.under).unwrap(blob, _context(row))
    except Refused as error:
        raise damaged(row.name, error) from None


def rewrapped(row: ReaderRow, keys: WorkspaceKeys, now: int) -> ReaderRow:
    """The same secret under the workspace's current key. Raises as `unwrapped`."""
    return replace(
        row,
        under=keys.current,
        wrapped=_wrapped(row, unwrapped(row, keys), keys),
        revision=row.revision + 1,
        changed_at=now,
    )


def _wrapped(row: ReaderRow, key: Secret, keys: WorkspaceKeys) -> str:
    return to_text(_wrapping(row, keys, keys.current).wrap(key, _context(row)))


def _wrapping(row: ReaderRow, keys: WorkspaceKeys, generation: int) -> WrappingKey:
    return WrappingKey(
        keys.by_generation[generation],
        Level.READER,
        workspace=row.workspace,
        day=iso_ms(row.made_at)[:10],
        generation=generation,
    )


def _context(row: ReaderRow) -> Mapping[str, str]:
    """Whoever can write to the bucket can't prolong a reader's life."""
    return {
        "expires_at": "never" if row.expires_at is None else str(row.expires_at),
        "made_at": str(row.made_at),
        "number": row.number,
        "purpose": "strongroom-reader",
        "workspace": row.workspace,
    }
