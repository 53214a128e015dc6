"""Consumers of a simulation: several at once replay, compact and give up records of one unit.

They do it on the product's own unit chains, and crash and stand still between outputs and entry.
"""

import asyncio
import random
import secrets
from typing import TYPE_CHECKING

from tests.simulation.keys import key_of
from tests.simulation.loop import PROCESS
from tests.simulation.s3 import Connection, Traffic
from workers.by import By
from workers.errors import StrongroomError
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition, Group
from workers.ledger import data_name, line_ranges, live, unit_chain
from workers.ledger.entries import StoredObject, Writer, digest
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.line_ranges import Ranges
from workers.ledger.live import Live, LiveObject
from workers.ledger.names import unit_output
from workers.ledger.pack import Compression, Packer, unpack
from workers.ledger.unit_chain import Draft, Taken
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.sealing.keys import Unit
from workers.sealing.unit_key import Lease, UnitKey
from workers.store.port import IF_ABSENT, PreconditionFailed
from workers.store.retry import Retry

if TYPE_CHECKING:
    from tests.simulation.world import World

THINKS = 3.0  # seconds at most between outputs and entry
CRASHES = ("put data sent", "put data landed", "put unit sent", "put unit landed", "get unit landed")
OF_NOBODY = f"data/ws={PLATFORM}/src={UNCLAIMED}/"
OF_WHALE = "data/ws=whale/src=site/"
ENDS = {Kind.DISCARD: Became.DISCARDED, Kind.DISPOSE: Became.DISPOSED}


class Consumers:
    def __init__(self, world: "World") -> None:
        self.world = world
        self.committed: list[tuple[str, str]] = []  # an entry's key and attempt, as a consumer was told
        self._runs = 0
        self._rng = random.Random(f"{world.plan.seed}/consumers")

    def begin(self, until: float, many: int, pause: float) -> None:
        """So many consume until the time `until`; one of them stands still for `pause` seconds somewhere."""
        loop = self.world.loop
        for _ in range(many):
            self._runs += 1
            process = loop.process(f"consumer#{self._runs}")
            loop.spawn(process, self._consume(until))
        if pause:
            begins = self._rng.random() * 4
            self.world.later(begins, lambda: setattr(process, "paused", True))
            self.world.later(begins + pause, lambda: setattr(process, "paused", False))

    async def _consume(self, until: float) -> None:
        world, rng, process = self.world, self._rng, PROCESS.get()
        crash = rng.choice(CRASHES) if rng.random() < 0.4 else ""

        def tripped(step: str) -> None:
            if step == crash and rng.random() < 0.5:
                world.note(process.name, "is gone")
                world.counts["consumer_killed"] += 1
                world.loop.kill(process)

        bucket = Connection(
            world.store, world.s3, world.network, lambda: False, tripped, Traffic(), world.note
        )
        consumer = _Consumer(self, bucket, Retry(clock=world.loop.time, rng=rng), rng, process.name)
        try:
            while world.loop.time() < until:
                await consumer.consume()
                await asyncio.sleep(rng.random())
        except StrongroomError as error:
            world.note(process.name, f"ends: {error}")
            if not world.deleted:  # of a chain that somebody cut nothing more is consumed
                world.violated("unforeseen", f"{process} was ended by {error!r}")


class _Consumer:
    """One process."""

    def __init__(
        self, shared: Consumers, bucket: Connection, retry: Retry, rng: random.Random, name: str
    ) -> None:
        self._shared, self._bucket, self._retry, self._rng = shared, bucket, retry, rng
        self._name = name
        self._packer = Packer(Compression.ZSTD, 1)

    async def consume(self) -> None:
        """Some of what is live in some unit, as it stands now."""
        unit = await self._unit()
        if unit is None:
            return
        found = IntakeObjects(self._bucket, self._bucket, self._retry).of(unit)
        standing = await live.unit(self._bucket, unit, [stored async for stored in found], self._retry)
        if not standing.objects:
            return
        draft = await self._planned(unit, standing)
        await asyncio.sleep(THINKS * self._rng.random())
        counts = self._shared.world.counts
        try:
            after = await unit_chain.append(self._bucket, standing.head, draft, self._retry)
        except Taken:
            counts["consumer_taken"] += 1
            return
        self._shared.committed.append((after.entries[-1].key, draft.attempt))
        counts["consume"] += sum(each.count for each in draft.consumed)

    async def _unit(self) -> Unit | None:
        """Of a day of which something is stored: nobody's, or the whale's, which has what was replayed."""
        whales = self._rng.random() < 0.4

        async def names() -> list[str]:
            prefix = OF_WHALE if whales else OF_NOBODY
            return [stat.key async for stat in self._bucket.list(prefix)]

        parsed = [
            data_name.parse(key) or data_name.parse_output(key) for key in await self._retry.call(names)
        ]
        days = sorted({name.day for name in parsed if name is not None})
        if not days:
            return None
        day = self._rng.choice(days)
        if whales:
            return Unit("whale", "site", day, Clock.MAIN)
        return Unit(PLATFORM, UNCLAIMED, day, Clock.UNCLAIMED)

    async def _planned(self, unit: Unit, standing: Live) -> Draft:
        """Takes some lines of some objects, and puts what is left of them."""
        rng = self._rng
        moves = Kind.COMPACT if unit.workspace == "whale" else Kind.REPLAY
        kind = rng.choice((moves, moves, moves, Kind.DISCARD, Kind.DISPOSE))
        attempt = secrets.token_hex(8)
        objects = rng.sample(sorted(standing.objects.items()), rng.randint(1, min(3, len(standing.objects))))
        taken = {key: self._some(each) for key, each in objects}
        consumed = tuple(
            Consumed(key, None if lines == each.lines else lines, line_ranges.count(lines))
            for (key, each), lines in zip(objects, taken.values(), strict=True)
        )
        records = sum(each.count for each in consumed)
        outputs: tuple[StoredObject, ...] = ()
        if kind is moves:
            lines = [line for _, each in objects for line in await self._lines(each, taken[each.stored.key])]
            outputs = (await self._put(unit, standing.head.seq + 1, attempt, lines),)
        return Draft(
            kind=kind,
            attempt=attempt,
            writer=Writer(self._name, "simulated"),
            by=By(self._name, "bastion", "simulated", self._shared.world.now()),
            policy={},
            consumed=consumed,
            counts={ENDS.get(kind, Became.ACCEPTED): {"simulated": records}},
            outputs=outputs,
        )

    def _some(self, each: LiveObject) -> Ranges:
        numbers = [line for first, last in each.lines for line in range(first, last + 1)]
        return line_ranges.of(self._rng.sample(numbers, self._rng.randint(1, len(numbers))))

    async def _lines(self, each: LiveObject, ranges: Ranges) -> list[bytes]:
        stored = each.stored
        got = await self._retry.call(lambda: self._bucket.get(stored.key))
        unit = Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))
        opened = _key(unit).open(got.body, got.metadata, stored.key)
        lines = unpack(stored.key, opened).splitlines()
        return [line for first, last in ranges for line in lines[first : last + 1]]

    async def _put(self, consumer: Unit, seq: int, attempt: str, lines: list[bytes]) -> StoredObject:
        """All of it is the whale's."""
        group = Group("whale", "site", consumer.day, Disposition.ACCEPTED, Clock.MAIN)
        key = unit_output(group, consumer, seq, 0, attempt)
        plain = b"".join(line + b"\n" for line in lines)
        sealed = _key(Unit(group.workspace, group.source, group.day, group.clock)).seal(
            self._packer.pack(plain), key
        )

        async def put() -> None:
            try:
                await self._bucket.put(key, sealed.body, condition=IF_ABSENT, metadata=sealed.metadata)
            except PreconditionFailed:
                return  # its name holds our attempt: it is our own

        await self._retry.call(put)
        return StoredObject(
            key=key,
            **group._asdict(),
            records=len(lines),
            plain_bytes=len(plain),
            stored_bytes=len(sealed.body),
            sha256=digest(sealed.body),
            key_generation=1,
        )


def _key(unit: Unit) -> UnitKey:
    return key_of(unit, Lease(float("inf")), lambda: 0.0)
