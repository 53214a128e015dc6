"""A worker tells what it has applied: after a change at once, never before it, and through an outage."""

import asyncio
from dataclasses import dataclass, field

import pytest

from topics.policy_applied import Applied, PolicyApplied, codec
from workers.errors import Retryable
from workers.roles import applied
from workers.roles.applied import AppliedReports


@dataclass
class Copy:
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    offset: int = -1

    def apply(self) -> None:
        """As the reader does: it tells of the record first, and then moves its version past it."""
        self.changed.set()
        self.offset += 1

    def applied(self) -> tuple[Applied, ...]:
        return (Applied(topic="write-keys", topic_id="log", version=(self.offset,)),)

    def age(self) -> float:
        return 0.25


@dataclass
class Broker:
    sent: list[PolicyApplied | None] = field(default_factory=list)
    down: bool = False
    mute: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        assert (topic, key) == ("eu.policy-applied", b"worker-0")
        if self.mute:
            await asyncio.Event().wait()
        if self.down:
            raise Retryable("no broker")
        self.sent.append(None if value is None else codec.decode(value))
        self.heard.set()

    async def next(self) -> PolicyApplied | None:
        self.heard.clear()
        await asyncio.wait_for(self.heard.wait(), 10)
        return self.sent[-1]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applied, "PAUSE", 0.01)
    monkeypatch.setattr(applied, "LAST_WORD", 0.01)


def reports(copy: Copy, broker: Broker) -> AppliedReports:
    return AppliedReports(copy, broker, "eu.policy-applied", "worker-0", 5.0, lambda: 1_000)


async def test_a_report_says_who_when_how_old_and_which_version(quick: None) -> None:
    copy, broker = Copy(offset=4), Broker()
    running = asyncio.create_task(reports(copy, broker).run())
    said = await broker.next()
    running.cancel()
    assert said is not None
    assert (said.worker, said.at, said.age_ms, said.stale_after_ms) == ("worker-0", 1_000, 250, 5_000)
    assert said.applied == copy.applied()


async def test_a_change_is_told_at_once_and_many_in_one(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applied, "HEARTBEAT", 1_000_000.0)  # only a change can be what is told
    copy, broker = Copy(), Broker()
    running = asyncio.create_task(reports(copy, broker).run())
    await broker.next()
    for _ in range(50):
        copy.apply()
    said = await broker.next()
    running.cancel()
    assert said is not None
    assert said.applied[0].version == (49,)
    assert len(broker.sent) == 2


async def test_a_change_during_a_report_is_told_in_the_next(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied, "HEARTBEAT", 1_000_000.0)
    copy, broker = Copy(), Broker()
    running = asyncio.create_task(reports(copy, broker).run())
    await broker.next()
    copy.apply()
    await broker.next()
    copy.apply()  # within the pause
    said = await broker.next()
    running.cancel()
    assert said is not None
    assert said.applied[0].version == (1,)


async def test_it_beats_when_nothing_changes_and_outlives_an_outage(
    quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied, "HEARTBEAT", 0.02)
    broker = Broker(down=True)
    running = asyncio.create_task(reports(Copy(), broker).run())
    await asyncio.sleep(0.1)
    assert not running.done()
    broker.down = False
    await broker.next()
    await broker.next()
    running.cancel()


async def test_the_last_word_is_a_tombstone_and_is_not_waited_for_long(quick: None) -> None:
    broker = Broker()
    await reports(Copy(), broker).stop()
    assert broker.sent == [None]
    broker.mute = True
    await asyncio.wait_for(reports(Copy(), broker).stop(), 10)
