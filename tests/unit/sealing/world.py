"""A keystore with three units' keys, what was sealed under each, and what may befall its rows."""

from collections.abc import Callable, Sequence

from tests.contract.keystore.world import NEIGHBOUR, NOW, ROOT, UNIT, replicas, worker
from workers.errors import StrongroomError
from workers.sealing.format import Sealed
from workers.sealing.keys import Unit
from workers.sealing.rows import marker_of, unit_row, workspace_row
from workers.sealing.withdraw import tombstone
from workers.store.memory import MemoryStore

ROW, NEIGHBOUR_ROW, WORKSPACE = unit_row(UNIT), unit_row(NEIGHBOUR), workspace_row("acme")
RIVAL = UNIT._replace(workspace="rival")
NAME, PLAIN = "data/one", b"PLANTED-PLAINTEXT of a scenario"


class World:
    """Buckets with three units' keys, and what was sealed under each."""

    def __init__(self, buckets: int = 2) -> None:
        self.stores = [MemoryStore(name) for name in ("first", "second")[:buckets]]
        self.sealed: dict[Unit, Sealed] = {}
        self.root = ROOT

    async def begin(self) -> "World":
        writer = worker(self.stores)
        for unit in (UNIT, NEIGHBOUR, RIVAL):
            self.sealed[unit] = (await writer.unit_key(unit, create=True)).seal(PLAIN, NAME)
        return self

    async def read(self, unit: Unit = UNIT) -> None:
        key = await worker(self.stores, root=self.root).unit_key(unit, create=False)
        assert key.open(*self.sealed[unit], NAME) == PLAIN

    async def write(self, unit: Unit = UNIT) -> None:
        (await worker(self.stores, root=self.root).unit_key(unit, create=True)).seal(PLAIN, NAME)

    async def still_reads(self, *units: Unit) -> None:
        for unit in units:
            try:
                await self.read(unit)
            except StrongroomError as error:
                raise AssertionError(f"{unit} is refused as well") from error

    async def shred(self, name: str) -> None:
        await tombstone(replicas(self.stores), [name], NOW)

    async def forget_markers(self, name: str) -> None:
        for store in self.stores:
            await store.delete([marker_of(name)])

    async def replace(self, name: str, edit: Callable[[bytes], bytes]) -> None:
        for store in self.stores:
            body = (await store.get(name)).body
            assert edit(body) != body
            await store.put(name, edit(body))

    async def put_back(self, name: str, before: Sequence[bytes]) -> None:
        for store, body in zip(self.stores, before, strict=True):
            await store.put(name, body)
