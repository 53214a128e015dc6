"""One real Kafka broker for a test run, on whichever rung of the ladder there is."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # stubs miss it

from tests.stack.containers import ApacheKafkaContainer
from tests.stack.ladder import Rung
from tests.stack.servers import ChildServer, ContainerServer, ExternalServer, Server, free_ports, wait_until

CLUSTER_ID = "5L6g3nShT-eMCtK--X86sw"
START_WITHIN = 180.0  # seconds; 6 on two quiet cores
ADMIN_WITHIN = 60.0  # seconds


class Ports(NamedTuple):
    """`proxied` is what the second listener advertises: a fault proxy that listens there and passes on to
    `behind_proxy` stands between the broker and whoever bootstraps through it."""

    direct: int
    behind_proxy: int
    proxied: int
    controller: int


class Listeners(Protocol):
    """More of them than every broker has."""

    ports: Sequence[int]

    def add_to(self, properties: dict[str, str], bind: str) -> None: ...


def broker_properties(ports: Ports, bind: str, log_dir: str) -> dict[str, str]:
    """server.properties of a single node whose listeners bind to `bind` ("" for all addresses)."""
    return {
        "node.id": "1",
        "process.roles": "broker,controller",
        "listeners": f"HOST://{bind}:{ports.direct},PROXY://{bind}:{ports.behind_proxy},CONTROLLER://{bind}:{ports.controller}",
        "advertised.listeners": f"HOST://127.0.0.1:{ports.direct},PROXY://127.0.0.1:{ports.proxied}",
        "listener.security.protocol.map": "HOST:PLAINTEXT,PROXY:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "HOST",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@localhost:{ports.controller}",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # a killed broker's old session must end before it may register again: 9 s by default
        "broker.session.timeout.ms": "5000",
        "broker.heartbeat.interval.ms": "1000",
        "auto.create.topics.enable": "false",  # a topic that nobody declared is a fault to see
        "log.dirs": log_dir,
    }


class Kafka:
    """`bootstrap` is "host:port". A test that stops or kills the broker starts it again: others share it."""

    def __init__(self, server: Server, bootstrap: str, ports: Ports | None) -> None:
        self.server, self.bootstrap, self.ports = server, bootstrap, ports

    def start(self) -> None:
        """Starts the broker (again, on the same port and data) and returns once it serves requests."""
        self.server.start()
        wait_until(self.answers, self.server, f"Kafka at {self.bootstrap}", START_WITHIN)

    def stop(self) -> None:
        """SIGTERM: the broker closes its log in order."""
        self.server.stop()

    def kill(self) -> None:
        """SIGKILL; returns once it is dead."""
        self.server.kill()

    def restart(self) -> None:
        """Stops in order and starts again."""
        self.stop()
        self.start()

    def close(self) -> None:
        self.server.close()

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Creates a topic with one replica and returns its name once the broker knows its partitions."""
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap}
        )  # kept: a collected client drops its futures
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config or {}))
        admin.create_topics([topic], operation_timeout=ADMIN_WITHIN)[name].result(ADMIN_WITHIN)
        deadline = time.monotonic() + ADMIN_WITHIN
        while len(admin.list_topics(name, timeout=ADMIN_WITHIN).topics[name].partitions) < partitions:
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic {name} has not shown its {partitions} partitions")
            time.sleep(0.05)
        return name

    def answers(self) -> bool:
        """Whether it serves requests now."""
        try:
            admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False


def _native(libs: str, ports: Ports, more: Listeners | None) -> ChildServer:
    def java(*arguments: str) -> list[str]:
        options = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx768m"]
        return ["java", *options, "-cp", f"{libs}/*", *arguments]

    def format_storage(folder: Path) -> None:
        properties = broker_properties(ports, "127.0.0.1", f"{folder}/data")
        if more is not None:
            more.add_to(properties, "127.0.0.1")
        (folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        command = java(
            "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", f"{folder}/server.properties"
        )
        subprocess.run(command, check=True, capture_output=True)

    return ChildServer(
        "kafka", lambda folder: java("kafka.Kafka", f"{folder}/server.properties"), prepare=format_storage
    )


def kafka_on(rung: Rung, more: Listeners | None = None) -> Kafka:
    """The broker that stands on this rung, not yet started. An external one has the listeners that it has."""
    if rung.name == "external":
        return Kafka(ExternalServer(), rung.what, None)
    ports = Ports(*free_ports(4))
    if rung.name == "container":
        properties = broker_properties(ports, "", "/tmp/kraft-combined-logs")
        published = [ports.direct, ports.behind_proxy]
        if more is not None:
            more.add_to(properties, "")
            published += more.ports
        server: Server = ContainerServer(ApacheKafkaContainer(rung.what, properties, published, CLUSTER_ID))
    else:
        server = _native(rung.what, ports, more)
    return Kafka(server, f"127.0.0.1:{ports.direct}", ports)
