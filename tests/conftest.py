"""What every test may use: a real Kafka and a real S3, and a shell without anybody's own AWS credentials.

Which servers they are is decided once a run (tests/stack/ladder.py) and said in the header and at the end.
"""

import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.stack import ladder
from tests.stack.authority import Authority
from tests.stack.fault_proxy import FaultProxy
from tests.stack.kafka import Kafka, kafka_on
from tests.stack.s3 import ACCESS_KEY, REGION, S3, SECRET_KEY, s3_on, secured_s3_on
from tests.stack.secured import SecuredKafka, secured_kafka_on

used: list[str] = []
# by folder
LONGEST = (
    "tests/torture/test_torture",
    "tests/system/",
    "tests/model/",
    "tests/simulation/",
    "tests/integration/",
)


def pytest_configure() -> None:
    _let_loggers_be_configured_again()
    _hide_accounts()


def _let_loggers_be_configured_again() -> None:
    """A logger that is cached keeps the configuration of the test that used it first, and no later test sees
    what it says.
    """
    configure = structlog.configure

    def uncached(**settings: Any) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    structlog.configure = uncached  # type: ignore[assignment]  # called with keywords alone


def _hide_accounts() -> None:
    """No test may reach an account of whoever runs it: only an external S3 takes credentials from outside."""
    if "TEST_S3_ENDPOINT" not in os.environ:
        os.environ.update(
            AWS_ACCESS_KEY_ID=ACCESS_KEY,
            AWS_SECRET_ACCESS_KEY=SECRET_KEY,
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
        )
        for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            os.environ.pop(name, None)
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )


def pytest_report_header() -> str:
    return f"stack: {ladder.said()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that of several processes none is left with one of them at the end."""
    items.sort(key=lambda item: next((n for n, part in enumerate(LONGEST) if part in item.nodeid), 99))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # one of several processes: the first one says what all used
        session.config.workeroutput["used"] = used


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    used.extend(name for name in node.workeroutput.get("used", ()) if name not in used)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if used:
        terminalreporter.write_line(f"ran on: {ladder.said()}; used: {', '.join(used)}")
    else:
        terminalreporter.write_line("ran on: no Kafka and no S3, no test that ran asked for one")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A real broker, shared by the whole run."""
    used.append("kafka")
    broker = kafka_on(ladder.kafka())
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """A real broker with TLS, SASL and mutual TLS, shared by the whole run."""
    used.append("kafka with TLS")
    broker = secured_kafka_on(ladder.kafka(), Authority(tmp_path_factory.mktemp("kafka"), "brokers"))
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def kafka_proxy(kafka: Kafka) -> Iterator[FaultProxy]:
    """Stands between the broker and whoever bootstraps through `kafka_proxy.address`; gone after the test."""
    ports = kafka.ports
    if ports is None:
        raise ladder.NoStack("an external Kafka can't be put behind a proxy: leave this test out by name")
    with FaultProxy(ports.proxied, ports.behind_proxy) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3-protocol server, shared by the whole run."""
    used.append("s3")
    server = s3_on(ladder.s3())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def secured_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3-protocol server that speaks TLS, shared by the whole run."""
    used.append("s3 with TLS")
    server = secured_s3_on(ladder.s3(), Authority(tmp_path_factory.mktemp("s3"), "storage"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> str:
    """A topic name that no other test uses; nothing is created."""
    test = re.sub(r"[^A-Za-z0-9_-]+", "-", str(request.node.name))[:60]
    return f"{test}-{uuid.uuid4().hex[:8]}"
