"""What is done to what the archive stands on: S3, credentials, the network, the broker, the topic."""

import random
import time
from collections.abc import Callable

from tests.stack.fault_proxy import FaultProxy
from tests.stack.kafka import Kafka
from tests.torture.crew import Crew, Member
from tests.torture.group import Group
from tests.torture.nemesis import Actions
from tests.torture.producer import Load
from tests.torture.s3_faults import STORE_FAULTS, StoreProxies, Storm
from tests.torture.tally import Tally

SURROUNDING_FAULTS = (
    *STORE_FAULTS,
    "kafka_cut",  # connections broken and refused
    "kafka_stall",  # connections open, and nothing passes
    "broker_kill",
    "broker_restart",
    "partitions_grown",
)
STORM = 1.5, 6.0  # seconds that a storm lasts, from when on it may end
STORM_HITS = 10  # requests that it must have struck to end before its time
WRITES = r"^PUT .*/(ledger|data)/"


class SurroundingFaults:
    def __init__(
        self,
        kafka: Kafka,
        network: FaultProxy,
        crew: Crew,
        proxies: StoreProxies,
        group: Group,
        load: Load,
        tally: Tally,
        rng: random.Random,
        max_partitions: int,
    ) -> None:
        self.kafka, self.network, self.crew, self.proxies = kafka, network, crew, proxies
        self.group, self.load, self.tally, self.rng = group, load, tally, rng
        self.max_partitions = max_partitions
        self._running: list[tuple[Member, Storm]] = []

    def actions(self) -> Actions:
        """Name → (weight, what to do)."""

        def storm(kind: str) -> Callable[[], None]:
            return lambda: self.storm(kind)

        # requests that hang until a client gives up, which takes it 30 s: they come first, so that they end
        slow = {
            "s3_half_open": (1, lambda: self.few("s3_half_open", "")),
            "s3_late_write": (2, lambda: self.few("s3_late_write", WRITES)),
        }
        return {
            **slow,
            **{kind: (2, storm(kind)) for kind in STORE_FAULTS if kind not in slow},
            "kafka_cut": (1, lambda: self.network_fault("kafka_cut")),
            "kafka_stall": (1, lambda: self.network_fault("kafka_stall")),
            "broker_kill": (1, self.broker_kill),
            "broker_restart": (1, self.broker_restart),
            "partitions_grown": (1, self.grow),
        }

    def close(self) -> None:
        """Takes away what would never end by itself."""
        self.network.heal()
        for member, storm in self._running:
            self.proxies.do(member.store.end(storm))
        self._running.clear()

    def storm(self, kind: str) -> None:
        """For some seconds; over all workers, or one."""
        whole = kind.startswith("credentials") or kind == "s3_cut"
        struck = [self.crew.at_work(self.rng)]
        if kind != "s3_cut" and self.rng.random() < 0.5:
            struck = self.crew.members
        share = 1.0 if whole else self.rng.uniform(0.2, 0.6)
        matching = "^PUT " if kind == "s3_conflict" else ""  # no other request is refused so
        storms = [(member, Storm(kind, share, matching)) for member in struck]
        for member, storm in storms:
            self.proxies.do(member.store.begin(storm))
        began = time.monotonic()
        while (lasted := time.monotonic() - began) < STORM[1]:
            if lasted >= STORM[0] and sum(storm.hits for _, storm in storms) >= STORM_HITS:
                break
            time.sleep(0.1)
        for member, storm in storms:
            self.proxies.do(member.store.end(storm))

    def few(self, kind: str, matching: str) -> None:
        """The next two requests of one worker; nobody waits for their end."""
        member = self.crew.at_work(self.rng)
        storm = Storm(kind, 1.0, matching, limit=2)
        self.proxies.do(member.store.begin(storm))
        self._running.append((member, storm))
        time.sleep(1)

    def network_fault(self, kind: str) -> None:
        """Between Kafka and those workers that reach it through the proxy; maybe beyond their sessions."""
        before = self.network.broken, self.network.stalled
        if kind == "kafka_cut":
            self.network.cut()
        else:
            self.network.stall()
        time.sleep(self.rng.uniform(2, 10))
        self.network.heal()
        broken, stalled = self.network.broken - before[0], self.network.stalled - before[1]
        self.tally.count(kind, broken if kind == "kafka_cut" else stalled)

    def broker_kill(self) -> None:
        self.kafka.kill()
        self._down_for("broker_kill")

    def broker_restart(self) -> None:
        self.kafka.stop()
        self._down_for("broker_restart")

    def _down_for(self, kind: str) -> None:
        down = not self.kafka.answers()
        time.sleep(self.rng.uniform(0, 2))
        self.kafka.start()
        self.tally.count(kind, int(down))

    def grow(self) -> None:
        before = self.load.partitions
        if before >= self.max_partitions:
            return
        self.load.partitions = self.group.grow(1 + self.rng.randrange(2))
        self.tally.count("partitions_grown", self.load.partitions - before)
