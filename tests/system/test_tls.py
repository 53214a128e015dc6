"""A whole fleet without clear text: Kafka with TLS and a password, S3 with TLS, health over HTTPS."""

import shutil
import ssl
import uuid
from collections.abc import Iterator

import pytest

from tests.stack.authority import Authority, Identity
from tests.stack.s3 import S3
from tests.stack.secured import PASSWORD, USER, SecuredKafka
from tests.system.fleet import Fleet, wait_until
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

RECORDS = 200


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the workers' ports."""
    return Authority(tmp_path_factory.mktemp("authority"), "workers")


@pytest.fixture(scope="module")
def live(authority: Authority) -> Identity:
    """What the workers' ports show."""
    return authority.issue("worker")


@pytest.fixture(scope="module")
def fleet(
    secured_kafka: SecuredKafka,
    secured_s3: S3,
    authority: Authority,
    live: Identity,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    settings = {
        "STRONGROOM_KAFKA_TLS": "true",
        "STRONGROOM_KAFKA_CA_FILE": str(secured_kafka.authority.trust),
        "STRONGROOM_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "STRONGROOM_KAFKA_SASL_USERNAME": USER,
        "STRONGROOM_KAFKA_SASL_PASSWORD": PASSWORD,
        "STRONGROOM_HTTP_CERT_FILE": str(live.cert_file),
        "STRONGROOM_HTTP_KEY_FILE": str(live.key_file),
        "AWS_CA_BUNDLE": str(secured_s3.trust),
    }
    fleet = Fleet(
        tmp_path_factory.mktemp("fleet"),
        secured_kafka.login,
        secured_s3.endpoint,
        secured_s3.bucket(),
        f"t{uuid.uuid4().hex[:8]}-",
        settings=settings,
        trust=authority.trust,
    )
    fleet.create()
    yield fleet
    fleet.close()


def test_records_are_archived_and_a_certificate_replaced(
    fleet: Fleet, secured_kafka: SecuredKafka, secured_s3: S3, authority: Authority, live: Identity
) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", "acme-api-key-0001", "--workspace", "acme", "--source", "api")
    worker = fleet.worker().wait_ready()
    sent = [("acme-api-key-0001", envelope("acme-api-key-0001", f"a{n}")) for n in range(RECORDS)]
    ends = produce(secured_kafka.kafka.bootstrap, f"{fleet.prefix}raw-events", sent)
    fleet.wait_archived(ends)

    new = authority.issue("worker")
    for source, target in zip(new, live, strict=True):
        shutil.copy(source, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)
    shown = ssl.PEM_cert_to_DER_cert(new.cert_file.read_text())
    wait_until(lambda: certificate_of(worker.port) == shown, 20, worker.log)
    assert worker.get("/readyz")[0] == 200

    assert worker.stop() == 0
    reader = Reader(secured_s3.client, fleet.bucket, fleet.root_key_file)
    assert sorted(line for _, line in reader.lines()) == sorted(value for _, value in sent)
    assert PASSWORD not in worker.log_file.read_text()


def certificate_of(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def test_a_worker_with_the_wrong_password_ends_and_says_what_to_mend(fleet: Fleet) -> None:
    worker = fleet.worker(STRONGROOM_KAFKA_SASL_PASSWORD="wrong-horse")
    assert worker.process.wait(60) == 3
    assert "refused user archive with SCRAM-SHA-512" in worker.log()
    assert "STRONGROOM_KAFKA_SASL_USERNAME and _PASSWORD" in worker.log()
    assert "horse" not in worker.log_file.read_text()
