"""What readers of the key service promise over any one or two stores, real or in memory."""

from collections.abc import Sequence

import pytest

from tests.contract.keystore.rotation import BY, at_once, rotation
from tests.contract.keystore.world import NOW, ROOT, UNIT, bodies, fast, patient, replicas, worker
from workers.sealing import readers
from workers.sealing.key_events import What, events
from workers.sealing.keys import Reader, reader_of
from workers.sealing.readers import ReaderSecret
from workers.sealing.refusals import KeyShredded
from workers.sealing.roots import Roots
from workers.sealing.rows import ReaderRow, State, decode, reader_row
from workers.sealing.workspaces import Workspaces
from workers.store.port import Store


async def added(stores: Sequence[Store], *, expires_at: int | None = None) -> tuple[Reader, ReaderSecret]:
    workspaces = Workspaces(replicas(stores), Roots([ROOT]), keep=1, now=lambda: NOW)
    return await readers.add(replicas(stores), workspaces, "acme", expires_at=expires_at, by=BY, retry=fast())


async def row_of(store: Store, reader: Reader) -> ReaderRow:
    row = decode((await store.get(reader_row(reader))).body, reader_row(reader), "here")
    assert isinstance(row, ReaderRow)
    return row


class ReadersContract:
    """Subclasses give the fixture `stores`."""

    async def test_a_reader_is_known_wherever_the_root_key_is(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        reader, secret = await added(stores, expires_at=NOW + 1000)
        assert reader_of(reader.access_key_id) == reader
        assert await worker(stores).reader(reader) == secret
        assert len(secret.text) == 43
        assert secret.expires_at == NOW + 1000
        other, others = await added(stores)
        assert (other, others.text) != (reader, secret.text)

    async def test_its_row_is_in_every_bucket_and_names_who_made_it(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        reader, secret = await added(stores)
        found = await bodies(stores, reader_row(reader))
        assert len(found) == len(stores)
        assert len(set(found)) == 1
        assert secret.text.encode() not in found[0]
        row = await row_of(stores[0], reader)
        assert (row.who, row.host, row.made_at) == (BY.who, BY.host, NOW)
        [event] = [event async for event in events(stores[0])]
        assert (event.what, event.rows, event.who) == (What.READER_ADDED, (row.name,), BY.who)

    async def test_a_revoked_reader_is_gone_for_good(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        (reader, _), (other, secret) = await added(stores), await added(stores)
        for _ in range(2):  # it may be done again
            await readers.revoke(replicas(stores), reader, BY, fast())
        with pytest.raises(KeyShredded):
            await worker(stores).reader(reader)
        assert await worker(stores).reader(other) == secret
        for store in stores:
            row = await row_of(store, reader)
            assert (row.state, row.wrapped) == (State.TOMBSTONE, "")
        listed = {each: row async for each, row in readers.standing(replicas(stores), None, fast())}
        assert listed.keys() == {reader, other}
        assert (listed[reader], listed[other]) == (None, await row_of(stores[0], other))
        assert [event.what async for event in events(stores[0])][-1] is What.READER_REVOKED

    async def test_a_rotated_workspaces_readers_sign_as_before(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        reader, secret = await added(stores)
        revoked, _ = await added(stores)
        await readers.revoke(replicas(stores), revoked, BY, fast())
        cached = worker(stores)
        assert await cached.reader(reader) == secret
        await rotation(stores).run(BY, at_once)
        assert (await row_of(stores[0], reader)).under == 2
        assert await worker(stores).reader(reader) == secret
        await cached.poll()
        assert await cached.reader(reader) == secret
        with pytest.raises(KeyShredded):
            await worker(stores).reader(revoked)
