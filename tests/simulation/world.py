"""The parties that a plan names, what it does to them, the calm afterwards, and the verdict."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation import invariants, records
from tests.simulation.consumers import Consumers
from tests.simulation.faults import FAULTS
from tests.simulation.group import Group
from tests.simulation.kafka import Holds, Log, Slot, Topic
from tests.simulation.loop import Loop
from tests.simulation.network import Network
from tests.simulation.operator import Operator
from tests.simulation.plan import CHAOS, Plan, Produced, Strike
from tests.simulation.s3 import Witness
from tests.simulation.steward import Steward
from tests.simulation.worker import Worker
from workers.ledger.halts import ACKNOWLEDGED, CAUSES
from workers.ledger.names import ChainId
from workers.store.faults import Faults
from workers.store.memory import MemoryStore

CALM = 400.0  # seconds of virtual time after the last fault, in which all must be archived
PATIENCE = 100.0  # seconds of it after which what is still halted by a deleted entry stays so
MAX_STEPS = 400_000


class World:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        rng = random.Random(f"schedule/{plan.seed}")
        ends = [each.at + each.lasts for each in plan.faults] + [
            each.at + each.lasts for each in plan.produced
        ]
        end = max([CHAOS, *ends])
        self.quiet_at = end
        self.loop = Loop(random.Random(rng.random()), until=end + CALM, max_steps=MAX_STEPS)
        self.s3, self.kafka, self.keystore = (self.loop.process(name) for name in ("s3", "kafka", "keystore"))
        self.network = Network(self.loop, random.Random(rng.random()))
        self.store = MemoryStore("simulated", faults=Faults(int(rng.random() * 2**32)), turn=_no_turn)
        self.bucket = self.store._bucket = Witness("simulated", self.now)
        self.bucket.landed, self.bucket.closed = self._landed, self._closed
        self.topic = Topic("raw-events", topic_id(0), [Log(start) for start in plan.starts])
        self.group = Group(
            self.loop, self.kafka, random.Random(rng.random()), lambda: len(self.topic.logs), self.note
        )
        self.group.committed = self._committed
        self.counts: Counter[str] = Counter()
        self.violations: list[tuple[str, str]] = []
        self.jumped = 0  # ms that the true clock jumped
        self.keystore_down_until = 0.0
        self.deletes_next: set[int] = set()  # partitions whose next entry somebody deletes
        self.deleted: set[str] = set()
        self.expires_at_opening: dict[int, int] = {}  # partition → offsets
        # log → causes to halt, each with the time since when
        self.may_halt: defaultdict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        self.known_at_recreation: dict[str, frozenset[str]] = {}  # topic id → what the bucket held
        self.workers = [Worker(self, number) for number in range(plan.writers)]
        self.steward = Steward(self)
        self.consumers = Consumers(self)
        self.operator = None if plan.patience is None else Operator(self, plan.patience)
        self.trace: list[tuple[float, str, str]] = []
        self._record = 0

    # -- time and place ----------------------------------------------------------------------------------

    def now(self) -> int:
        return records.EPOCH + int(self.loop.time() * 1000) + self.jumped

    def later(self, delay: float, work: Callable[[], Any]) -> None:
        self.loop.call_later(delay, work, context=self.loop.harness.context)

    def worker(self, strike: Strike) -> Worker:
        return self.workers[strike.who % len(self.workers)]

    def log_name(self, partition: int) -> tuple[str, int]:
        return self.topic.topic_id, partition

    def chain(self, partition: int) -> ChainId:
        """The newest of the log."""
        found = [
            chain
            for chain in self.bucket.chains
            if (chain.topic_id, chain.partition) == self.log_name(partition)
        ]
        return max(found, default=ChainId(self.topic.name, self.topic.topic_id, 1, partition))

    def head(self, partition: int) -> int | None:
        return self.bucket.head(self.chain(partition))

    # -- what faults do ----------------------------------------------------------------------------------

    def loses(self, partition: int, *causes: str) -> None:
        """From now on a halt by one of these causes is as it should be."""
        self.may_halt[self.log_name(partition)] |= dict.fromkeys(causes, self.loop.time())

    def newest_entry(self, partition: int) -> str | None:
        chain = self.chain(partition)
        firsts = [first for first in self.bucket.chains.get(chain, {}) if first >= 0]
        return chain.entry(max(firsts)) if firsts else None

    def delete_entry(self, key: str) -> None:
        self.bucket.remove(key)
        self.deleted.add(key)
        self.loses(int(key.split("/")[-2]), *CAUSES)  # whatever it said is not known any more
        self.counts["deleted_entry"] += 1

    def recreate_topic(self) -> None:
        self.topic.make_anew(topic_id(len(self.topic.former) + 1))
        self.group.offsets.clear()
        self.known_at_recreation[self.topic.topic_id] = frozenset(self.bucket.bodies)
        for partition in range(len(self.topic.logs)):
            self.loses(partition, "topic_recreated")

    def bounds_told(self, partition: int) -> None:
        """Retention strikes right after a claim asked where the log begins."""
        offsets = self.expires_at_opening.get(partition)
        log = self.topic.logs[partition]
        if offsets is not None and self.head(partition) is None and log.stable > log.start:
            del self.expires_at_opening[partition]
            log.expire(log.start + offsets)
            self.loses(partition, "log_start_above_head")
            self.counts["retention_at_opening"] += 1

    def keystore_is_down(self) -> bool:
        down = self.loop.time() < self.keystore_down_until
        self.counts["keystore_down"] += down
        return down

    def _closed(self, closing: dict[str, Any]) -> None:
        """What was wrong when the operator began is on record, and must halt nothing any more."""
        assert self.operator is not None
        self.counts["acknowledged"] += 1
        opens, partition = closing["opens"], closing["partition"]
        log = opens["topic_id"], partition
        began = self.operator.began[closing["actor"]]
        left = {cause: since for cause, since in self.may_halt[log].items() if since > began}
        others = {topic_id for topic_id, _ in self.topic.former} - {opens["topic_id"]}
        unclosed = self.bucket.chains.keys() - self.bucket.closings.keys()
        if any((chain.topic_id in others and chain.partition == partition) for chain in unclosed):
            left["topic_recreated"] = self.loop.time()
        self.may_halt[log] = left

    def _landed(self, key: str) -> None:
        if self.deletes_next and key.startswith("ledger/") and not key.endswith("genesis.json"):
            partition = int(key.split("/")[-2])
            if partition in self.deletes_next:
                self.deletes_next.discard(partition)
                self.delete_entry(key)

    def _committed(self, partition: int, offset: int) -> None:
        heads = [self.bucket.head(chain) for chain in self.bucket.chains if chain.partition == partition]
        if offset > max((head for head in heads if head is not None), default=-1):
            self.violated("committed_offset", f"[{partition}]: {offset} is above every head {heads}")

    def note(self, who: str, what: str) -> None:
        self.trace.append((self.loop.time(), who, what))

    def violated(self, kind: str, detail: str) -> None:
        self.note("harness", f"VIOLATED {kind}: {detail[:200]}")
        self.violations.append((kind, detail))

    # -- producing ---------------------------------------------------------------------------------------

    def produce(self, what: Produced) -> None:
        partition = what.partition % len(self.topic.logs)
        log = self.topic.logs[partition]
        self.note("producer", f"[{partition}] {log.end}: {' '.join(what.kinds)} {what.transaction}")
        for kind in what.kinds:
            self._append(log, kind, opened=bool(what.transaction), broker_time=what.broker_time)
        if what.transaction:
            commit = what.transaction == "commit"
            self.later(what.lasts, lambda: log.close_transaction(commit=commit))

    def produce_now(self, partition: int, kinds: Sequence[str]) -> None:
        self.produce(Produced(at=self.loop.time(), partition=partition, kinds=tuple(kinds)))

    def _append(self, log: Log, kind: str, *, opened: bool, broker_time: bool) -> None:
        if kind == "-":
            log.append(Slot(Holds.COMPACTED, 0))
            return
        self._record += 1
        log.append(
            Slot(
                Holds.OPEN if opened else Holds.RECORD,
                0,
                records.value_of(kind, self._record),
                self.now(),
                int(broker_time),
                kind=kind,
                number=self._record,
            )
        )

    # -- the schedule ------------------------------------------------------------------------------------

    async def schedule(self) -> None:
        for worker in self.workers:
            self.later(self.network.delay(), worker.start)
        if self.operator is not None:
            self.operator.look()
        for what in self.plan.produced:
            self.loop.call_at(what.at, self.produce, what)
        for strike in self.plan.faults:
            inject = FAULTS[strike.fault].inject
            assert inject is not None, strike
            self.loop.call_at(strike.at, self._strike, strike, inject)
        await asyncio.sleep(self.quiet_at + 0.1)
        self.note("harness", "calm")
        self._calm()
        for partition in range(len(self.topic.logs)):
            self.produce_now(partition, ["whale"])
        await self._settled()
        if self.plan.drain:
            await self._stopped()
        await invariants.check(self)

    def _strike(self, strike: Strike, inject: Callable[["World", Strike], None]) -> None:
        self.note("fault", f"{strike.fault} who={strike.who} lasts={strike.lasts:.1f} amount={strike.amount}")
        inject(self, strike)

    def _calm(self) -> None:
        """No fault strikes any more; what is late still arrives."""
        self.store.faults.clear()
        self.store.land_late_writes()
        self.network.late = 0.0
        self.deletes_next.clear()
        self.expires_at_opening.clear()
        for log in self.topic.logs:
            log.close_transaction(commit=True)
        for worker in self.workers:
            worker.denied_until = worker.policy_old_until = self.keystore_down_until = 0.0
            worker.dies_at = None

    async def _settled(self) -> None:
        """Until every partition is archived to its last record, or halted for good."""
        while not all(self._is_settled(partition) for partition in range(len(self.topic.logs))):  # noqa: ASYNC110  # simulated time: it costs nothing
            await asyncio.sleep(0.5)

    def _is_settled(self, partition: int) -> bool:
        last, head = self.topic.logs[partition].last_record(), self.head(partition)
        halted, chain = self.halted(partition), self.chain(partition)
        if halted is not None:
            # where a closing should lie that was deleted, none can be written before it is restored
            given_up = bool(self.deleted) and self.loop.time() > self.quiet_at + PATIENCE
            return self.operator is None or halted not in ACKNOWLEDGED or given_up
        if chain in self.bucket.closings or not self._is_owned(partition):
            return False
        return head is not None and (last is None or head > last)

    def _is_owned(self, partition: int) -> bool:
        return any(worker.owner and partition in worker.owner.partitions for worker in self.workers)

    def halted(self, partition: int) -> str | None:
        """Why its present reader has halted it."""
        for worker in self.workers:
            if worker.owner is None or worker.process is None:
                continue
            if partition in self.group.assigned.get(worker.process.name, ()):
                error = worker.owner.halted.get(partition)
                if error is not None:
                    return str(getattr(error, "cause", error))
        return None

    async def _stopped(self) -> None:
        for worker in self.workers:
            worker.away = True
        while any(worker.process is not None for worker in self.workers):
            for worker in self.workers:
                worker.stop()  # one that was about to start could not hear it the first time
            await asyncio.sleep(0.5)


def topic_id(number: int) -> str:
    """As long as Kafka's, and with the sign in it by which names are taken apart."""
    return f"topic-{number}".ljust(22, "-")


async def _no_turn() -> None:
    """The network takes the time: a request is served at once when it arrives."""
