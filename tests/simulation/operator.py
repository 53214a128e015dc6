"""The operator of a simulation, who puts losses on record as the product's command does, some time later."""

import asyncio
import random
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.kafka import Holds
from tests.simulation.loop import PROCESS
from tests.simulation.member import Kafka
from tests.simulation.s3 import Connection, Traffic
from workers.by import By
from workers.errors import StrongroomError
from workers.ledger.halts import ACKNOWLEDGED
from workers.ledger.succession import LogId
from workers.roles.losses import Losses
from workers.store.retry import Retry

if TYPE_CHECKING:
    from tests.simulation.world import World

LOOK = 1.0  # seconds
THINKS = 4.0  # seconds at most between what is shown and the word to go on
AGAIN = 12.0  # seconds until a halt that stays is acted on again
CRASHES = ("put entry sent", "put entry landed", "put genesis sent")


class Operator:
    """Looks at the halts, and acts on each after a while: now and then twice at once, or half."""

    def __init__(self, world: "World", patience: float) -> None:
        self.world = world
        self.patience = patience  # seconds at most until a halt is acted on
        self.began: dict[str, float] = {}  # who → when
        self._due: set[int] = set()  # partitions
        self._rng = random.Random(f"{world.plan.seed}/operator")

    def look(self) -> None:
        world = self.world
        for partition in range(len(world.topic.logs)):
            if partition not in self._due and world.halted(partition) in ACKNOWLEDGED:
                self._due.add(partition)
                world.later(self.patience * self._rng.random(), partial(self._act, partition))
        world.later(LOOK, self.look)

    def _act(self, partition: int) -> None:
        self.world.later(AGAIN, lambda: self._due.discard(partition))
        for _ in range(1 + (self._rng.random() < 0.25)):
            name = f"operator#{len(self.began) + 1}"
            self.began[name] = self.world.loop.time()
            process = self.world.loop.process(name)
            self.world.loop.spawn(process, self._acknowledge(partition))

    async def _acknowledge(self, partition: int) -> None:
        world, rng = self.world, self._rng
        process = PROCESS.get()
        crash = rng.choice(CRASHES) if rng.random() < 0.25 else ""

        def tripped(step: str) -> None:
            if step == crash:
                world.note(process.name, "is gone")
                world.loop.kill(process)

        bucket = Connection(
            world.store, world.s3, world.network, lambda: False, tripped, Traffic(), world.note
        )
        kafka = _Kafka(world)
        log_id = LogId(world.topic.name, world.topic.topic_id, partition)
        losses = Losses(bucket, kafka, kafka, log_id, "audit", Retry(clock=world.loop.time, rng=rng))
        by = By(process.name, "bastion", "simulated", world.now())
        try:
            found = await losses.look()
            if found is None:
                return
            await asyncio.sleep(THINKS * rng.random())
            await losses.put_on_record(found, by, "simulated", kafka)
        except StrongroomError as error:
            world.note(process.name, f"ends: {error}")
        except Exception as error:
            world.violated("unforeseen", f"{process} was ended by {error!r}")


class _Kafka(Kafka):
    """The broker as the operator's machine reaches it."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.topic, world.kafka, world.network, lambda partition: None)
        self._offsets = world.group.offsets

    async def cluster_id(self) -> str:
        return "simulated"

    async def group_offset(self, partition: int) -> tuple[int, str] | None:
        return await self._patiently(lambda: self._offsets.get(partition))

    async def first_record(self, partition: int, first: int, end: int) -> int | None:
        log = self.topic.logs[partition]

        def serve() -> int | None:
            held = (slot.offset for slot in log.slots if slot.holds is Holds.RECORD)
            return next((offset for offset in held if max(first, log.start) <= offset < end), None)

        return await self._patiently(serve)

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> None:
        await self._patiently(lambda: None)
