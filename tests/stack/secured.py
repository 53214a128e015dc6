"""A Kafka broker that listens with TLS: for all, for who has a password, for who has a certificate."""

from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # stubs miss them
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.stack.authority import Authority
from tests.stack.kafka import ADMIN_WITHIN, Kafka, kafka_on
from tests.stack.ladder import NoStack, Rung
from tests.stack.servers import free_ports, wait_until

USER, PASSWORD = "archive", "correct-horse"
FAR = "far.example"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")
MODULES = {
    "SCRAM-SHA-256": "scram.ScramLoginModule required",
    "SCRAM-SHA-512": "scram.ScramLoginModule required",
    "PLAIN": f'plain.PlainLoginModule required user_{USER}="{PASSWORD}"',
}


class SecureListeners:
    """Each on a port of localhost, by that name alone: whoever calls it 127.0.0.1 uses a wrong name.

    `mutual` serves those to whom `authority` gave a certificate. `far` speaks no TLS, and says that it
    is on another machine.
    """

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        broker = authority.issue("broker", hosts=["localhost"])
        self._chain, self._key = _one_line(broker.cert_file), _one_line(broker.key_file)
        self.ports: Sequence[int] = free_ports(4)
        self.tls, self.login, self.mutual, self.far = self.ports

    def add_to(self, properties: dict[str, str], bind: str) -> None:
        """`bind` is "" for all addresses."""
        for name, protocol, port in (
            ("TLS", "SSL", self.tls),
            ("LOGIN", "SASL_SSL", self.login),
            ("MUTUAL", "SSL", self.mutual),
        ):
            properties["listeners"] += f",{name}://{bind}:{port}"
            properties["advertised.listeners"] += f",{name}://localhost:{port}"
            properties["listener.security.protocol.map"] += f",{name}:{protocol}"
            own = f"listener.name.{name.lower()}"
            properties[f"{own}.ssl.keystore.type"] = "PEM"
            properties[f"{own}.ssl.keystore.certificate.chain"] = self._chain
            properties[f"{own}.ssl.keystore.key"] = self._key
        properties["listeners"] += f",FAR://{bind}:{self.far}"
        properties["advertised.listeners"] += f",FAR://{FAR}:{self.far}"
        properties["listener.security.protocol.map"] += ",FAR:PLAINTEXT"
        properties["listener.name.mutual.ssl.client.auth"] = "required"
        properties["listener.name.mutual.ssl.truststore.type"] = "PEM"
        properties["listener.name.mutual.ssl.truststore.certificates"] = _one_line(self.authority.trust)
        properties["listener.name.login.sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        for mechanism, module in MODULES.items():
            properties[f"listener.name.login.{mechanism.lower()}.sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.{module};"
            )


class SecuredKafka:
    """`kafka` is the same broker as the tests see it, without TLS."""

    def __init__(self, kafka: Kafka, listeners: SecureListeners) -> None:
        self.kafka, self.authority = kafka, listeners.authority
        self.tls = f"localhost:{listeners.tls}"
        self.login = f"localhost:{listeners.login}"
        self.mutual = f"localhost:{listeners.mutual}"
        self.far = f"localhost:{listeners.far}"

    def start(self) -> None:
        """Returns once USER can log in."""
        self.kafka.start()
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            known = UserScramCredentialUpsertion(
                USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
            )
            admin.alter_user_scram_credentials([known])[USER].result(ADMIN_WITHIN)
        wait_until(self._lets_in, self.kafka.server, f"Kafka at {self.login}", ADMIN_WITHIN)

    def close(self) -> None:
        self.kafka.close()

    def _lets_in(self) -> bool:
        try:
            admin = AdminClient(
                {
                    "bootstrap.servers": self.login,
                    "security.protocol": "SASL_SSL",
                    "ssl.ca.location": str(self.authority.trust),
                    "sasl.mechanism": "SCRAM-SHA-512",
                    "sasl.username": USER,
                    "sasl.password": PASSWORD,
                    "log_level": 0,
                }
            )
            return bool(admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False


def secured_kafka_on(rung: Rung, authority: Authority) -> SecuredKafka:
    """The broker that stands on this rung, not yet started."""
    if rung.name == "external":
        raise NoStack("an external Kafka has no listeners of ours: leave the tests of TLS out by name")
    listeners = SecureListeners(authority)
    return SecuredKafka(kafka_on(rung, listeners), listeners)


def _one_line(pem: Path) -> str:
    """As a properties file has it."""
    return pem.read_text().strip().replace("\n", "\\n")
