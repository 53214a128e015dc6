"""The servers as containers, through testcontainers: Apache Kafka (KRaft, one node) and versitygw.

testcontainers' own KafkaContainer knows Confluent's image layout only. This one needs nothing but the
environment contract of apache/kafka, so the public image and the one that up.sh builds both fit. Host ports
are chosen beforehand: a broker must advertise its port before it starts and keep it when it comes back, while
Docker gives a random one anew at each start.
"""

import os
from collections.abc import Iterable, Mapping

from testcontainers.core.container import DockerContainer

from tests.stack.authority import Identity
from tests.stack.ladder import STACK


class StackContainer(DockerContainer):
    """A container that down.sh finds by its label, in the network that up.sh made where it made one."""

    def __init__(self, image: str, user: str | None = None) -> None:
        super().__init__(image)
        network = os.environ.get("DOCKER_NETWORK")
        self.with_kwargs(
            labels={"strongroom.stack": str(STACK)},
            **({"network": network} if network else {}),
            **({"user": user} if user else {}),
        )


class ApacheKafkaContainer(StackContainer):
    """A broker with `properties` (named as in server.properties), its `ports` the same inside and outside."""

    def __init__(
        self, image: str, properties: Mapping[str, str], ports: Iterable[int], cluster_id: str
    ) -> None:
        super().__init__(image)
        for port in ports:
            self.with_bind_ports(port, port)
        self.with_env("CLUSTER_ID", cluster_id)
        for name, value in properties.items():
            self.with_env(variable(name), value)


def variable(property_name: str) -> str:
    """The environment variable that the image makes this property of."""
    return "KAFKA_" + property_name.upper().replace("-", "___").replace(".", "_")


# as S3 it keeps connections open; not a line of log a request
VERSITYGW = ("--health", "/health", "--keep-alive", "--quiet")


class VersitygwContainer(StackContainer):
    """versitygw over a directory, with old versions in another; answers on `port` of the host.

    With an identity (its files lie in one folder) it speaks TLS.
    """

    def __init__(
        self, image: str, port: int, access_key: str, secret_key: str, shows: Identity | None = None
    ) -> None:
        # the certificate's key is nobody's but its owner's, whom the image's own user is not
        super().__init__(image, user="0:0" if shows else None)
        self.with_bind_ports(7070, port)
        self.with_envs(ROOT_ACCESS_KEY=access_key, ROOT_SECRET_KEY=secret_key)
        tls = ""
        if shows is not None:
            self.with_volume_mapping(str(shows.cert_file.parent), "/tls", "ro")
            tls = f"--cert /tls/{shows.cert_file.name} --key /tls/{shows.key_file.name} "
        options = f"--port :7070 {' '.join(VERSITYGW)} {tls}"
        self.with_command(f"{options}posix --versioning-dir /versions /data")
