"""A writer: the product's own Owner, Claims, Sorter and Flusher, on the simulated Kafka, S3 and clock."""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation import records
from tests.simulation.keys import Keys
from tests.simulation.loop import PROCESS, Process
from tests.simulation.member import Kafka, Member
from tests.simulation.s3 import Connection, Traffic
from workers.errors import StrongroomError
from workers.intake.sort import Sorter, SortLimits
from workers.ledger.entries import Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.pack import Compression, Packer
from workers.roles.claims import Claims
from workers.roles.first_of import first_of
from workers.roles.owner import Limits, Owner
from workers.store.retry import Retry

if TYPE_CHECKING:
    from tests.simulation.world import World

TICK = 1.0  # seconds
RESTART = 3.0  # seconds at most


class Worker:
    """Started again whenever it has ended. `process` is None while it is down."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.name = f"w{number}"
        self.process: Process | None = None
        self.owner: Owner | None = None
        self.member: Member | None = None
        self.traffic: list[tuple[str, Traffic]] = []
        self.skew = 0  # ms that its clock is wrong
        self.denied_until = 0.0
        self.policy_old_until = 0.0
        self.dies_at: tuple[str, str, int] | None = None  # fault, step, and how many of them it still makes
        self.away = False  # not to be started again
        self._runs = 0
        self._rng = random.Random(f"{world.plan.seed}/{self.name}")

    # -- what the harness does ---------------------------------------------------------------------------

    def start(self) -> None:
        if self.process is not None or self.away:
            return
        self._runs += 1
        self.process = self.world.loop.process(f"{self.name}#{self._runs}")
        self.world.loop.spawn(self.process, self._main(self.process))

    def kill(self) -> bool:
        """kill -9. False if there was nothing to kill."""
        if self.process is None:
            return False
        self._ended(self.process)
        return True

    def stop(self) -> bool:
        """SIGTERM."""
        if self.process is None or self.process.paused or self.member is None:
            return False
        member = self.member
        self.world.loop.call_soon(member.stop, context=self.process.context)
        return True

    def _ended(self, process: Process) -> None:
        self.world.note(process.name, "is gone")
        self.world.loop.kill(process)
        if self.process is process:
            self.process = self.owner = self.member = None
            self.world.later(0.2 + RESTART * self._rng.random(), self.start)

    # -- inside the process ------------------------------------------------------------------------------

    async def _main(self, process: Process) -> None:
        try:
            await self._archive()
        except StrongroomError as error:
            self.world.note(process.name, f"ends: {error}")  # and is started again
        except Exception as error:
            if process.dead:
                return  # what is left of a killed one is being collected
            self.world.violated("unforeseen", f"{process} was ended by {error!r}")
        self._ended(process)

    async def _archive(self) -> None:
        world = self.world
        traffic = Traffic()
        name = PROCESS.get().name
        self.traffic.append((name, traffic))

        def hold(cause: str, why: str) -> Callable[[], None]:
            traffic.failed += cause != "policy_stale"
            return lambda: None

        retry = Retry(hold=hold, clock=world.loop.time, rng=self._rng)
        bucket = Connection(
            world.store, world.s3, world.network, self._denied, self._tripped, traffic, world.note
        )
        kafka = Kafka(world.topic, world.kafka, world.network, world.bounds_told)
        writer = Writer(name, "simulated")
        flusher = Flusher(
            data=bucket,
            ledger=bucket,
            keys=Keys(world.keystore, world.network, world.loop.time, world.keystore_is_down),
            packer=Packer(Compression.ZSTD, 1),
            writer=writer,
            retry=retry,
            threads=None,  # type: ignore[arg-type]  # the loop has no threads: see Loop.run_in_executor
            uploads=Uploads(4),
            now=self._now,
        )
        claims = await Claims.on(world.topic.name, kafka, bucket, writer, retry, self._now)
        plan = world.plan
        owner = self.owner = Owner(
            claims,
            Sorter(records.policy(), SortLimits(record_bytes=records.RECORD_BYTES)),
            self,
            flusher,
            Limits(plan.flush_bytes, plan.flush_interval, plan.buffer_bytes, shutdown_timeout=8.0),
            hold,
            lambda: None,
            self._now,
            world.loop.time,
        )
        member = Member(name, kafka, claims._topic_id, world.group, owner, self._rng)
        claims.stream = owner.stream = self.member = member
        await first_of(member.run, lambda: self._ticking(owner), lambda: owner.failed)

    async def _ticking(self, owner: Owner) -> None:
        while True:
            await asyncio.sleep(TICK)
            await owner.tick()

    def _now(self) -> int:
        return self.world.now() + self.skew

    def _denied(self) -> bool:
        denied = self.world.loop.time() < self.denied_until
        self.world.counts["denied"] += denied
        return denied

    def _tripped(self, step: str) -> None:
        if self.dies_at is None or self.dies_at[1] != step:
            return
        fault, _, left = self.dies_at
        self.dies_at = (fault, step, left - 1)
        if left <= 1:
            self.dies_at = None
            self.world.counts[fault] += self.kill()

    # -- the copy of policy ------------------------------------------------------------------------------

    def stale(self) -> bool:
        old = self.world.loop.time() < self.policy_old_until
        self.world.counts["policy_down"] += old
        return old

    def versions(self) -> dict[str, tuple[int, ...]]:
        return {"write-keys": (1,), "workspaces": (1,)}
