"""Rejections are told beside the flushes: an outage costs the oldest rows, counted, and holds nothing up."""

import asyncio
from dataclasses import dataclass, field

import pytest

from tests.unit.ledger.world import WRITER
from topics.rejections import Rejection, codec
from workers.errors import Fatal, Retryable, StrongroomError
from workers.intake.refusals import Refusal, Refusals, Tally
from workers.ledger.entries import Anchor, Entry
from workers.observe import metrics
from workers.roles import rejections
from workers.roles.rejections import RejectionReports

ENTRY = Entry(
    topic="raw-events",
    topic_id="q1",
    incarnation=1,
    partition=3,
    first=10,
    next=20,
    previous="0" * 64,
    anchor=Anchor(19, "0" * 64),
    attempt="a1",
    writer=WRITER,
    committed_at=1,
    policy={},
    counts={},
    gaps=0,
    objects=(),
)


@dataclass
class Broker:
    sent: list[Rejection] = field(default_factory=list)
    fails: StrongroomError | None = None
    mute: bool = False

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        assert (topic, key) == ("eu.rejections", b"acme")
        if self.mute:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        assert value is not None
        self.sent.append(codec.decode(value))


def of(*keys: str) -> Refusals:
    refusals = Refusals()
    for key in keys:
        refusals.count(Refusal("acme", "web", key, "revoked_key", "copy.example"), Tally(4, 100, 200, 11, 17))
    return refusals


def dropped() -> float:
    return metrics.REGISTRY.get_sample_value("strongroom_rejections_dropped_total") or 0


async def until(reports: RejectionReports, broker: Broker, rows: int) -> None:
    running = asyncio.create_task(reports.run())
    async with asyncio.timeout(10):
        while len(broker.sent) < rows:  # noqa: ASYNC110 - the broker of these tests tells nobody
            await asyncio.sleep(0.001)
    running.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "PAUSE", 0.001)
    monkeypatch.setattr(rejections, "LAST_WORD", 0.01)


async def test_a_row_names_the_batch_and_who_was_refused() -> None:
    broker = Broker()
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    reports.tell(ENTRY, of("k1"))
    await until(reports, broker, 1)
    (row,) = broker.sent
    assert row.identity == (
        *("q1", 1, 3, 10, "a1"),
        *("acme", "web", "k1", "revoked_key", "copy.example"),
    )
    assert (row.end, row.records, row.offsets) == (20, 4, (11, 17))
    assert (row.first_at, row.last_at, row.counted_at) == (100, 200, 300)


async def test_what_strangers_send_fits_the_schema() -> None:
    broker = Broker()
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    reports.tell(ENTRY, of("x" * 5000, "half \ud83d"))
    await until(reports, broker, 2)
    assert [row.write_key for row in broker.sent] == ["x" * 300, "half ?"]


async def test_rows_wait_out_an_outage_and_the_oldest_go_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rejections, "WAITING_MAX", 3)
    before = dropped()
    broker = Broker(fails=Retryable("no broker"))
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    running = asyncio.create_task(reports.run())
    for n in range(5):
        reports.tell(ENTRY, of(f"k{n}"))
    await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    broker.fails = None
    await until(reports, broker, 3)
    assert [row.write_key for row in broker.sent] == ["k2", "k3", "k4"]
    assert dropped() - before == 2


async def test_rows_that_a_cancelled_run_gives_back_are_sent_by_who_waits() -> None:
    broker = Broker(mute=True)
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    reports.tell(ENTRY, of("k1"))
    sending, waiting = asyncio.create_task(reports.run()), asyncio.create_task(reports.run())
    await asyncio.sleep(0.01)  # one has the row on its way, the other sees none
    broker.mute = False
    sending.cancel()
    async with asyncio.timeout(10):
        while not broker.sent:  # noqa: ASYNC110 - the broker of these tests tells nobody
            await asyncio.sleep(0.001)
    waiting.cancel()


async def test_what_kafka_refuses_for_good_is_dropped_and_counted() -> None:
    before = dropped()
    broker = Broker(fails=Fatal("not authorized"))
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    reports.tell(ENTRY, of("k1"))
    await reports.stop()
    assert (broker.sent, dropped() - before) == ([], 1)


async def test_the_end_sends_what_waits_and_is_not_held_up() -> None:
    before = dropped()
    broker = Broker()
    reports = RejectionReports(broker, "eu.rejections", lambda: 300)
    reports.tell(ENTRY, of("k1"))
    await reports.stop()
    assert [row.write_key for row in broker.sent] == ["k1"]
    broker.mute = True
    reports.tell(ENTRY, of("k2", "k3"))
    await asyncio.wait_for(reports.stop(), 10)
    assert dropped() - before == 2
