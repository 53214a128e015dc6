"""The readers of the key service: who may have a workspace's data keys unwrapped, and what each signs with.

A reader is a row beside its workspace's key, and its secret is wrapped by that key: whoever shreds the
workspace ends its readers (docs/decisions/018).
"""

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from functools import partial
from typing import NamedTuple

from workers.by import By
from workers.errors import Poison
from workers.sealing import listing, reader_rows
from workers.sealing.flights import Flights
from workers.sealing.key_events import What, put_on_record
from workers.sealing.keys import READER_DIGITS, Reader, new_key
from workers.sealing.refusals import KeyShredded, NoSuchKey
from workers.sealing.replicas import Replicas
from workers.sealing.rows import ReaderRow, State, named, reader_row, workspace_row
from workers.sealing.withdraw import tombstone
from workers.sealing.workspaces import Workspaces, missing, usable
from workers.store.retry import Retry


class ReaderSecret(NamedTuple):
    """What a reader signs with, and until when (ms since the epoch; None: without end)."""

    text: str
    expires_at: int | None

    def __repr__(self) -> str:
        return "<secret>"


class Readers:
    """The last `keep` readers' secrets. Their owner says when some were withdrawn."""

    def __init__(self, replicas: Replicas, workspaces: Workspaces, *, keep: int) -> None:
        self._replicas, self._workspaces, self._keep = replicas, workspaces, keep
        self._cached: OrderedDict[Reader, ReaderSecret] = OrderedDict()
        self._flights = Flights()
        self._forgotten = 0  # times: what was being loaded meanwhile may be stale

    async def secret(self, reader: Reader) -> ReaderSecret:
        """Raises as Keystore.reader does."""
        found = self._cached.get(reader)
        if found is None:
            return await self._flights.join(reader, lambda: self._load(reader))
        self._cached.move_to_end(reader)
        return found

    def __contains__(self, reader: Reader) -> bool:
        return reader in self._cached

    def forget(self, readers: Collection[Reader], workspaces: Collection[str]) -> None:
        self._forgotten += 1
        for reader in [each for each in self._cached if each in readers or each.workspace in workspaces]:
            del self._cached[reader]

    def forget_all(self) -> None:
        self._forgotten += 1
        self._cached.clear()

    async def _load(self, reader: Reader) -> ReaderSecret:
        name = reader_row(reader)
        while True:
            forgotten = self._forgotten
            row = await self._replicas.read(name)
            if row is None:
                raise missing(name)
            standing = usable(row, name, ReaderRow)
            keys = await self._workspaces.keys(reader.workspace, create=False, generation=standing.under)
            text = reader_rows.secret_text(reader_rows.unwrapped(standing, keys))
            if forgotten == self._forgotten:
                break
        found = self._cached[reader] = ReaderSecret(text, standing.expires_at)
        while len(self._cached) > self._keep:
            self._cached.popitem(last=False)
        return found


async def add(
    replicas: Replicas,
    workspaces: Workspaces,
    workspace: str,
    *,
    expires_at: int | None,
    by: By,
    retry: Retry,
) -> tuple[Reader, ReaderSecret]:
    """Makes a reader. Its secret is told here alone. Raises Poison for a workspace that has no key."""
    name = workspace_row(workspace)
    if await retry.call(partial(replicas.settled, name)) is None:
        raise Poison(
            f"workspace {workspace} has no key yet, and so nothing to read",
            remedy="It gets one with its first record: is its name right?",
        )
    keys = await retry.call(partial(workspaces.keys, workspace, create=True))
    reader, key = Reader(workspace, secrets.token_hex(READER_DIGITS // 2)), new_key()
    row = reader_rows.new_row(reader, key, keys, expires_at=expires_at, by=by)
    await retry.call(partial(put_on_record, replicas.stores, What.READER_ADDED, [row.name], by))
    await retry.call(partial(replicas.created, row))
    return reader, ReaderSecret(reader_rows.secret_text(key), expires_at)


async def revoke(replicas: Replicas, reader: Reader, by: By, retry: Retry) -> None:
    """For good; it may be done again. Raises NoSuchKey for a reader that nobody made.

    Key services let go of it within a cache's life, as of any key (withdraw.py).
    """
    name = reader_row(reader)
    try:
        if await retry.call(partial(replicas.settled, name)) is None:
            raise NoSuchKey(
                f"there is no reader {reader.access_key_id}",
                remedy="`strongroom readers list` shows those that are",
            )
    except KeyShredded:
        pass  # revoked before: what was left undone is finished
    await retry.call(partial(put_on_record, replicas.stores, What.READER_REVOKED, [name], by))
    await retry.call(partial(tombstone, replicas, [name], by.now))


async def standing(
    replicas: Replicas, workspace: str | None, retry: Retry
) -> AsyncIterator[tuple[Reader, ReaderRow | None]]:
    """A workspace's readers, or all, each with its row; None for one that was revoked."""
    store = replicas.stores[0]
    if workspace is None:
        async for each in listing.workspaces(store, retry):
            async for found in standing(replicas, each, retry):
                yield found
        return
    async for names in listing.readers(store, workspace, retry):
        for name in names:
            reader = named(name)
            if isinstance(reader, Reader):
                yield reader, await _row(replicas, name, retry)


async def _row(replicas: Replicas, name: str, retry: Retry) -> ReaderRow | None:
    try:
        row = await retry.call(partial(replicas.read, name))
    except KeyShredded:
        return None
    return row if isinstance(row, ReaderRow) and row.state is not State.TOMBSTONE else None
