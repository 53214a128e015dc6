"""Sets up a run, tortures, heals, waits until everything acknowledged is archived, and has it judged."""

import random
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.stack import ladder
from tests.stack.fault_proxy import FaultProxy
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet
from tests.torture import journal
from tests.torture.crew import SETTINGS, Crew, Member
from tests.torture.group import Group
from tests.torture.journal import Journal, Outcome
from tests.torture.judge import judge
from tests.torture.ledger import Follower
from tests.torture.nemesis import Lane
from tests.torture.process_faults import PROCESS_FAULTS, ProcessFaults
from tests.torture.producer import TRANSACTION_FAULTS, Impatient, Load, Steady, Transactional
from tests.torture.report import Result
from tests.torture.s3_faults import StoreProxies
from tests.torture.surroundings import SURROUNDING_FAULTS, SurroundingFaults
from tests.torture.tally import Tally

WORKSPACES = {"acme-server-key-0001": ("acme", "api"), "beta-server-key-0001": ("beta", "api")}
PRODUCED_WITHIN = 300.0  # seconds for what the producers still have to send and settle
READY_WITHIN = 180.0  # seconds; a machine that tests run on may have much else to do
ARCHIVED_WITHIN = 180.0  # seconds from the last acknowledgement


@dataclass(frozen=True)
class Plan:
    """Ends when `kills` workers were killed and each fault was tried, at the latest after `seconds`."""

    seed: int
    kills: int
    records: int  # at least so many are sent by the steady producer alone
    seconds: float
    rate: float  # records a second
    flush_interval: float = 1.0  # seconds
    workers: int = 4
    partitions: int = 6
    max_partitions: int = 12
    pause: float = 1.0  # seconds between two faults of a lane, on average


class Rig:
    """One run. `say` is told how it goes."""

    def __init__(
        self, plan: Plan, kafka: Kafka, s3: S3, folder: Path, python: Path, say: Callable[[str], None]
    ) -> None:
        if kafka.ports is None:
            raise ladder.NoStack("torture kills its broker and stands a proxy before it: not an external one")
        self.plan, self.kafka, self.s3, self.python, self.say = plan, kafka, s3, python, say
        self.tally = Tally((*PROCESS_FAULTS, *SURROUNDING_FAULTS, *TRANSACTION_FAULTS))
        self.network = FaultProxy(kafka.ports.proxied, kafka.ports.behind_proxy)
        prefix = f"torture-{uuid.uuid4().hex[:8]}-"
        settings = {**SETTINGS, "STRONGROOM_FLUSH_INTERVAL": str(plan.flush_interval)}
        self.fleet = Fleet(
            folder, kafka.bootstrap, s3.endpoint, s3.bucket(), prefix, plan.partitions, settings
        )
        self.topic = f"{prefix}raw-events"
        self.journal = Journal(folder / "sent.tsv")
        self.seconds: dict[str, float] = {}
        self.failures: list[str] = []
        self._began = time.monotonic()

    def run(self, command: str) -> Result:
        plan = self.plan
        with ExitStack() as open_things:
            open_things.callback(self.journal.close)
            open_things.enter_context(self.network)
            names = [f"worker-{number}" for number in range(plan.workers)]
            proxies = StoreProxies(self.s3.endpoint, self.tally, plan.seed, names)
            open_things.callback(proxies.close)
            self._register()
            crew = Crew([self._member(number, name, proxies) for number, name in enumerate(names)])
            open_things.callback(crew.close)
            crew.start()
            crew.wait_ready(READY_WITHIN)
            self._took("setting up")
            load = Load(self.kafka.bootstrap, self.topic, list(WORKSPACES), plan.partitions, self.journal)
            rate, kills, done = self._torture(crew, proxies, load)
            partitions = load.partitions
            ends = self._wait_archived(crew)
            codes = crew.stop()
            self.failures += [f"{name} ended with {code}" for name, code in codes.items() if code]
            self._took("archiving the rest")
            verify = self.fleet.json("verify")
            self._took("strongroom verify")
            judged = judge(
                self.s3.client,
                self.s3.endpoint,
                self.fleet.bucket,
                self.fleet.root_key_file,
                self.journal.path,
                self.python,
            )
            self._took("judging")
            said = crew.said()
        self.failures += [*load.failures, *shortcomings(self.tally, said, ends, partitions)]
        return Result(
            seed=plan.seed,
            command=command,
            versions={},
            stack=ladder.said(),
            verdict=judged.verdict,
            opened_by=judged.opened_by,
            faults=self.tally.counts(),
            kills=kills,
            workers=plan.workers,
            processes=len(self.fleet.workers),
            partitions=partitions,
            ended_by_themselves=dict(crew.ended),
            said=said,
            verify=verify,
            seconds=self.seconds,
            records_per_second=rate,
            faults_done=done,
            failures=self.failures,
        )

    # -- setting up -------------------------------------------------------------------------------

    def _register(self) -> None:
        self.fleet.create()

        def register(key: str) -> None:
            workspace, source = WORKSPACES[key]
            self.fleet.run("workspaces", "set", workspace, "--source", f"{source}:server")
            self.fleet.run("keys", "add", key, "--workspace", workspace, "--source", source)

        with ThreadPoolExecutor() as threads:
            list(threads.map(register, WORKSPACES))

    def _member(self, number: int, name: str, proxies: StoreProxies) -> Member:
        """The first two reach Kafka through the proxy, so a cut parts the group; the last is not static."""
        proxy = proxies.of[name]
        settings = {"STRONGROOM_S3_ENDPOINT": proxy.endpoint}
        if number < 2:
            settings["STRONGROOM_KAFKA_BOOTSTRAP"] = self.network.address
        if number < self.plan.workers - 1:
            settings["STRONGROOM_INSTANCE_ID"] = name
        return Member(self.fleet, name, proxy, settings)

    # -- torture ----------------------------------------------------------------------------------

    def _torture(
        self, crew: Crew, proxies: StoreProxies, load: Load
    ) -> tuple[float, int, list[tuple[float, str, float]]]:
        """Records a second, kills, and what was done when."""
        plan = self.plan
        rngs = {name: random.Random(f"{plan.seed}/{name}") for name in ("processes", "surroundings")}
        group = Group(self.kafka.bootstrap, self.fleet.environment()["STRONGROOM_GROUP"], self.topic)
        inside = ProcessFaults(crew, proxies, group, self.tally, rngs["processes"])
        around = SurroundingFaults(
            self.kafka,
            self.network,
            crew,
            proxies,
            group,
            load,
            self.tally,
            rngs["surroundings"],
            plan.max_partitions,
        )
        writers = [
            Steady(load, str(plan.seed), plan.rate, plan.records),
            Impatient(load, str(plan.seed), rate=20),
            Transactional(load, str(plan.seed), self.tally, f"{self.topic}-t", pause=0.3),
        ]
        for writer in writers:
            writer.start()
        lanes = [
            Lane("processes", inside.actions(), self.tally, rngs["processes"], plan.pause, []),
            Lane(
                "surroundings",
                around.actions(),
                self.tally,
                rngs["surroundings"],
                plan.pause,
                ["s3_half_open", "s3_late_write"],
            ),
        ]
        began = time.monotonic()
        for lane in lanes:
            lane.start()
        while not self._enough(inside.kills, lanes, time.monotonic() - began):
            time.sleep(0.5)
            self._progress(inside.kills)
        for lane in lanes:
            lane.finish()
            if lane.failed:
                self.say(f"HARNESS FAILED: {lane.failed}")
                self.failures.append(lane.failed)
        inside.close()
        around.close()
        tortured = time.monotonic() - began
        rate = self.journal.counts[Outcome.ACKNOWLEDGED] / tortured
        self._took("torture")
        load.finish()
        for writer in writers:
            writer.join(PRODUCED_WITHIN)
            if writer.is_alive():
                self.failures.append(f"{writer.name} has not settled what it sent")
        if inside.kills < plan.kills:
            self.failures.append(f"{inside.kills} kills of {plan.kills} in {plan.seconds:.0f} s")
        self._took("sending the rest")
        return rate, inside.kills, sorted(done for lane in lanes for done in lane.done)

    def _enough(self, kills: int, lanes: list[Lane], elapsed: float) -> bool:
        if any(lane.failed for lane in lanes) or elapsed > self.plan.seconds:
            return True
        return kills >= self.plan.kills and all(lane.first_round.is_set() for lane in lanes)

    def _progress(self, kills: int) -> None:
        acknowledged = self.journal.counts[Outcome.ACKNOWLEDGED]
        self.say(f"{time.monotonic() - self._began:6.0f} s  kills {kills}  acknowledged {acknowledged}")

    # -- afterwards -------------------------------------------------------------------------------

    def _wait_archived(self, crew: Crew) -> Mapping[int, int]:
        """Until the ledger has passed every acknowledged offset; what it has not is for the judge to see."""
        self.journal.close()
        ends: dict[int, int] = {}
        for sent in journal.read(self.journal.path):
            if sent.outcome is Outcome.ACKNOWLEDGED:
                ends[sent.partition] = max(ends.get(sent.partition, 0), sent.offset + 1)
        follower = Follower(self.s3.client, self.fleet.bucket)
        deadline = time.monotonic() + ARCHIVED_WITHIN
        while True:
            heads = follower.heads()
            behind = {p: (heads.get(p, 0), end) for p, end in ends.items() if heads.get(p, 0) < end}
            if not behind:
                crew.wait_ready(READY_WITHIN)
                return ends
            if time.monotonic() > deadline:
                self.failures.append(
                    f"not archived in {ARCHIVED_WITHIN:.0f} s, partition: (head, end): {behind}"
                )
                return ends
            time.sleep(0.5)

    def _took(self, what: str) -> None:
        now = time.monotonic()
        self.seconds[what] = round(now - self._began - sum(self.seconds.values()), 1)


def shortcomings(
    tally: Tally, said: Mapping[str, int], ends: Mapping[int, int], partitions: int
) -> list[str]:
    """Why a run proves nothing. `said` counts log lines of the workers, `ends` are of partitions in use."""
    found = [f"never injected: {kind}" for kind in tally.missing()]
    if halted := said.get("partition_halted"):
        found.append(f"{halted} partitions were halted: nothing here should")
    if len(ends) < partitions:
        found.append(f"{partitions} partitions, and records in {len(ends)} only")
    return found
