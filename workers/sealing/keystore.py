"""The keystore: hands out units' keys, makes those that are missing, and forgets those that were withdrawn.

Rows are in S3 (rows.py, replicas.py); this is a cache with a life (docs/architecture.md, Withdrawn keys).
It is validated by reading the tombstone log, every `life / 5` or 60 s when used. A cache that could not be
validated within its life hands out nothing, and its keys neither seal nor open: so a shredded key is out of
use one life later.
"""

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from workers.errors import Poison, Retryable
from workers.sealing.flights import Flights
from workers.sealing.format import hkdf_expand, hkdf_extract
from workers.sealing.keys import KEY_BYTES, Reader, Secret, Unit, checked_unit
from workers.sealing.readers import Readers, ReaderSecret
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.sealing.rows import UnitRow, named, unit_row
from workers.sealing.tombstones import Tail
from workers.sealing.unit_key import Lease, UnitKey, uptime
from workers.sealing.unit_rows import new_row, unwrapped
from workers.sealing.workspaces import Workspaces, missing, usable
from workers.store.port import Store

UNITS_MAX = 20_000  # keys that are kept
POLL_EVERY = 60.0  # seconds at most between looks at the tombstone log
POLL_AGAIN = 5.0  # seconds after a look that failed


class Keystore:
    """One worker's view of the keystore; of one event loop.

    `stores`: the keystore bucket, or two. `life`: seconds, the shred latency. `units_max` keys are kept, each
    of which takes 3 KB.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        roots: Roots,
        *,
        life: float,
        units_max: int = UNITS_MAX,
        requests: int = 32,
        clock: Callable[[], float] = uptime,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.replicas = Replicas(stores, requests=requests)
        self._life = life
        self._poll_every = min(POLL_EVERY, life / 5)
        self._units_max = units_max
        self._clock = clock
        self._now = now
        self._units: OrderedDict[Unit, UnitKey] = OrderedDict()
        self._workspaces = Workspaces(self.replicas, roots, keep=units_max, now=now)
        self._readers = Readers(self.replicas, self._workspaces, keep=units_max)
        self._flights = Flights()
        self._tail = Tail(self.replicas.stores[0])
        self._lease = Lease(float("-inf"))
        self._next_poll = float("-inf")
        self._news = 0  # looks at the log that found something: what was loaded meanwhile may be stale

    async def unit_key(self, unit: Unit, *, create: bool) -> UnitKey:
        """The unit's key; with `create` it is made where there is none, is in every bucket, and may seal.

        Raises Retryable while the keystore can't be reached (hold what you have), KeyDisabled or KeyShredded
        for a withdrawn key, NoSuchKey (without `create`), Fatal for a wrong root key or a damaged row.
        """
        key = self._units.get(unit)
        if key is None or self._clock() >= self._next_poll or (create and not key.durable):
            await self._validated()
            key = self._units.get(unit)
            if key is None or (create and not key.durable):
                return await self._flights.join((unit, create), lambda: self._load(unit, create))
        self._units.move_to_end(unit)
        return key

    async def reader(self, reader: Reader) -> ReaderSecret:
        """What this reader signs with. Raises as `unit_key`, NoSuchKey for a reader that nobody made."""
        await self._validated()
        return await self._readers.secret(reader)

    async def derived(self, workspace: str, purpose: bytes) -> tuple[int, Secret]:
        """A key of the workspace for `purpose` alone, and the generation of the key that it is from.

        HKDF-SHA512 (RFC 5869) of its current key, which is made where there is none. Raises as `unit_key`.
        """
        await self._validated()
        keys = await self._workspaces.keys(workspace, create=True)
        prk = hkdf_extract(workspace.encode(), keys.by_generation[keys.current])
        return keys.current, Secret(hkdf_expand(prk, purpose, KEY_BYTES))

    def knows(self, reader: Reader) -> bool:
        """Whether `reader` answers from memory, a look at the tombstone log aside."""
        return reader in self._readers

    def sealing_on(self, day: str) -> list[Unit]:
        """Units of this day whose keys are here to seal with."""
        return [unit for unit, key in self._units.items() if unit.day == day and key.durable]

    async def prepare(self, units: Iterable[Unit], *, spread: float = 0.0) -> int:
        """Makes units' rows ahead of their day, over `spread` seconds; returns how many are still to be made.

        What fails for now is left to `unit_key`, withdrawn keys are left alone. Raises Fatal as that does.
        """

        async def make(unit: Unit) -> None:
            await asyncio.sleep(spread * random.random())  # noqa: S311 - so that workers do not race for each row
            await self.unit_key(unit, create=True)

        made = await asyncio.gather(*(make(unit) for unit in dict.fromkeys(units)), return_exceptions=True)
        for outcome in made:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Retryable | Poison):
                raise outcome
        return sum(isinstance(outcome, Retryable) for outcome in made)

    async def poll(self) -> None:
        """Looks at the tombstone log now. Done by `unit_key` when due; a timer may do it ahead of need."""
        await self._flights.join("poll", self._poll)

    async def _validated(self) -> None:
        if self._clock() < self._next_poll:
            return
        try:
            await self.poll()
        except Retryable:
            if self._clock() > self._lease.until:
                raise
            self._next_poll = min(self._clock() + POLL_AGAIN, self._lease.until)

    async def _poll(self) -> None:
        started = self._clock()  # what is withdrawn after this moment, this look may miss
        withdrawn = await self._tail.news()
        if withdrawn is None:
            self._forget(list(self._units))
            self._workspaces.forget_all()
            self._readers.forget_all()
        elif withdrawn:
            owners = [named(name) for name in withdrawn]
            workspaces = {owner for owner in owners if isinstance(owner, str)}
            units = {owner for owner in owners if isinstance(owner, Unit)}
            under = {unit for unit in self._units if unit.workspace in workspaces}
            self._forget(units | under)
            self._workspaces.forget(workspaces)
            self._readers.forget({owner for owner in owners if isinstance(owner, Reader)}, workspaces)
        self._lease.until = started + self._life
        self._next_poll = started + self._poll_every

    def _forget(self, units: Iterable[Unit]) -> None:
        self._news += 1
        for unit in units:
            key = self._units.pop(unit, None)
            if key is not None:
                key.expire()

    async def _load(self, unit: Unit, create: bool) -> UnitKey:
        checked_unit(unit)
        while True:
            news = self._news
            row, key = await self._unwrapped(unit, create)
            if news == self._news:
                break
        found = UnitKey(
            unit, key, generation=row.generation, durable=create, lease=self._lease, clock=self._clock
        )
        replaced = self._units.pop(unit, None)
        if replaced is not None:
            replaced.detach()
        self._units[unit] = found
        while len(self._units) > self._units_max:
            self._units.popitem(last=False)[1].detach()
        return found

    async def _unwrapped(self, unit: Unit, create: bool) -> tuple[UnitRow, Secret]:
        name = unit_row(unit)
        row = await (self.replicas.settled(name) if create else self.replicas.read(name))
        if row is None and not create:
            raise missing(name)
        if row is None:
            keys = await self._workspaces.keys(unit.workspace, create=True)
            row = await self.replicas.created(new_row(unit, keys, self._now()))
        standing = usable(row, name, UnitRow)
        keys = await self._workspaces.keys(unit.workspace, create=create, generation=standing.under)
        return standing, unwrapped(standing, keys)
