"""Observations are told beside the flushes: what can not be told is dropped and counted; nothing waits."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.unit.intake.making import envelope, key_record, policy_of, workspace_record
from topics.origin_observations import OriginObservation, codec
from workers.errors import Fatal, Retryable, StrongroomError
from workers.intake.dispositions import Decision, Disposition
from workers.intake.observing import observe
from workers.intake.samples import Samples
from workers.ledger.names import ChainId
from workers.observe import metrics
from workers.roles import observations
from workers.roles.observations import PURPOSE, ObservationReports

CHAIN = ChainId("eu.raw-events", "q", 2, 3)
POLICY = policy_of([key_record()], [workspace_record(allowed=["shop.example"])])


@dataclass
class Broker:
    sent: list[OriginObservation] = field(default_factory=list)
    fails: StrongroomError | None = None
    answers: asyncio.Event | None = None  # once it is set
    asked: int = 0

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        assert (topic, key) == ("eu.origin-observations", b"known")
        self.asked += 1
        await (self.answers.wait() if self.answers is not None else asyncio.sleep(0))
        if self.fails:
            raise self.fails
        assert value is not None
        self.sent.append(codec.decode(value))


@dataclass
class Keys:
    fails: StrongroomError | None = None

    async def derived(self, workspace: str, purpose: bytes) -> tuple[int, bytes]:
        assert (workspace, purpose) == ("acme", PURPOSE)
        if self.fails:
            raise self.fails
        return 5, b"k" * 32


def samples(*hosts: str, workspace: str = "acme", sources: tuple[str, ...] = ("site",)) -> Samples:
    span = Samples(10)
    lines = [envelope(origin=f"https://{host}", page={"url": f"https://{host}/"}) for host in hosts]
    for source in sources:
        span.see([(Decision(Disposition.FLAGGED, "foreign_origin", workspace, source), lines)], 100, 200)
    span.note(30, 1.0)
    return span


def dropped() -> float:
    return metrics.REGISTRY.get_sample_value("strongroom_observations_dropped_total") or 0


def reports(broker: Broker, keys: Keys | None = None) -> ObservationReports:
    return ObservationReports(broker, "eu.origin-observations", POLICY.workspace, keys or Keys())


async def test_a_row_names_its_span_and_its_hosts() -> None:
    broker = Broker()
    telling = reports(broker)
    running = asyncio.create_task(telling.run())
    telling.tell(CHAIN, samples("a.example", "b.example", "a.example"))
    async with asyncio.timeout(10):
        while len(broker.sent) < 2:  # noqa: ASYNC110 - the broker of these tests tells nobody
            await asyncio.sleep(0.001)
    running.cancel()
    assert [(row.host, row.records) for row in broker.sent] == [("a.example", 2), ("b.example", 1)]
    (row, _) = broker.sent
    assert (row.topic, row.topic_id, row.incarnation, row.partition) == CHAIN
    assert (row.start, row.end, row.first_at, row.last_at, row.hash_generation) == (10, 30, 100, 200, 5)


@pytest.mark.parametrize("error", [Retryable("away"), Fatal("no right to write")])
@pytest.mark.parametrize("at", ["kafka", "keystore"])
async def test_what_fails_is_dropped_and_counted_and_the_next_goes_on(
    error: StrongroomError, at: str
) -> None:
    broker, keys, before = Broker(), Keys(), dropped()
    telling = reports(broker, keys)
    (broker if at == "kafka" else keys).fails = error
    telling.tell(CHAIN, samples("a.example"))
    await telling.stop()
    assert (broker.sent, dropped() - before) == ([], 1)
    broker.fails = keys.fails = None
    telling.tell(CHAIN, samples("b.example"))
    await telling.stop()
    assert [row.host for row in broker.sent] == ["b.example"]


async def test_the_oldest_go_where_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, before = Broker(), dropped()
    telling = reports(broker)
    monkeypatch.setattr(observations, "WAITING_BYTES_MAX", 2 * samples("h0.example").bytes)
    for n in range(5):
        telling.tell(CHAIN, samples(f"h{n}.example"))
    await telling.stop()
    assert [row.host for row in broker.sent] == ["h3.example", "h4.example"]
    assert dropped() - before == 3


async def test_nobody_is_told_of_a_workspace_that_is_not_known() -> None:
    broker = Broker()
    telling = reports(broker)
    telling.tell(CHAIN, samples("a.example", workspace="nobody"))
    await telling.stop()
    assert broker.sent == []


async def test_a_fault_while_observing_drops_the_span_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker, before = Broker(), dropped()
    telling = reports(broker)
    broken = True

    def failing(*given: Any) -> Iterator[OriginObservation]:
        if broken:
            raise TypeError("planted")
        yield from observe(*given)

    monkeypatch.setattr(observations, "observe", failing)
    telling.tell(CHAIN, samples("a.example"))
    with capture_logs() as logged:
        await telling.stop()
    assert (broker.sent, dropped() - before) == ([], 1)
    assert [line["error"] for line in logged] == ["TypeError while observing"]  # and nothing that was sent
    broken = False
    telling.tell(CHAIN, samples("b.example"))
    await telling.stop()
    assert [row.host for row in broker.sent] == ["b.example"]


async def test_no_source_waits_for_the_answer_about_another() -> None:
    broker = Broker(answers=asyncio.Event())
    telling = reports(broker)
    telling.tell(CHAIN, samples("a.example", sources=tuple(f"s{n}" for n in range(50))))
    running = asyncio.create_task(telling.run())
    async with asyncio.timeout(10):
        while broker.asked < 50:  # noqa: ASYNC110 - the broker of these tests tells nobody
            await asyncio.sleep(0.001)
    assert broker.answers is not None
    broker.answers.set()
    running.cancel()


async def test_a_source_that_can_not_be_read_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, before = Broker(), dropped()
    telling = reports(broker)

    def failing(span: Any, groups: Any, account: Any, key: Any) -> Iterator[OriginObservation]:
        if any(decision.source == "s1" for decision in groups):
            raise TypeError("planted")
        yield from observe(span, groups, account, key)

    monkeypatch.setattr(observations, "observe", failing)
    telling.tell(CHAIN, samples("a.example", sources=("s0", "s1", "s2")))
    with capture_logs() as logged:
        await telling.stop()
    assert sorted(row.source for row in broker.sent) == ["s0", "s2"]
    assert dropped() - before == 1
    assert len(logged) == 1
