"""`strongroom ledger`: shows what is lost before anything is written, and says what is on record."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.ledger.world import MemoryLog, committed
from tests.unit.roles.test_losses import Audit, Cluster, cut, losses_of, names
from workers import opening
from workers.__main__ import run
from workers.cli import acknowledge
from workers.roles.losses import Losses
from workers.settings import Settings
from workers.store.memory import MemoryStore

COMMAND = ["ledger", "acknowledge", "--topic", "raw-events", "--partition", "0", "--reason", "too short"]


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A partition whose log starts at 9, its chain ends at 5."""
    store, cluster = await cut()
    _open_on(monkeypatch, store, cluster)
    return store


def _open_on(monkeypatch: pytest.MonkeyPatch, store: MemoryStore, cluster: Cluster) -> None:
    @asynccontextmanager
    async def ledger(settings: Settings) -> AsyncIterator[MemoryStore]:
        yield store

    @asynccontextmanager
    async def publisher(settings: Settings) -> AsyncIterator[Audit]:
        yield Audit()

    @asynccontextmanager
    async def losses(settings: Settings, topic: str, partition: int) -> AsyncIterator[Losses]:
        yield await losses_of(store, cluster)

    monkeypatch.setattr(opening, "open_ledger", ledger)
    monkeypatch.setattr(opening, "open_publisher", publisher)
    monkeypatch.setattr(acknowledge, "_losses", losses)


async def run_in_thread(arguments: list[str]) -> int:
    """A command has a loop of its own."""
    return await asyncio.to_thread(run, arguments)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("flags", [[], ["--json"]])
async def test_without_a_word_from_a_person_nothing_is_written(
    store: MemoryStore, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = await names(store)
    assert await run_in_thread([*COMMAND, *flags]) == 1
    told = capsys.readouterr()
    assert "4 offsets were deleted before they could be archived" in told.out
    assert "Nothing was put on record" in told.err
    assert await names(store) == before


async def test_with_it_the_loss_is_on_record(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_in_thread([*COMMAND, "--yes", "--json"]) == 0
    recorded = printed(capsys)
    assert (recorded["offsets lost"], recorded["reason"]) == (4, "too short")
    assert recorded["closing"] in await names(store)
    assert await run_in_thread([*COMMAND, "--yes", "--json"]) == 0
    assert printed(capsys) == recorded
    assert await run_in_thread(["ledger", "status", "--json"]) == 0
    closed, following = printed(capsys)
    assert (closed["state"], closed["lost"], closed["why"]) == ("closed", 4, "too short")
    assert (following["state"], following["next"], following["incarnation"]) == ("open", 9, 2)
    assert await run_in_thread(["ledger", "head", "--json"]) == 0
    assert [head["incarnation"] for head in printed(capsys)] == [2]


async def test_a_person_is_asked(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, True])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: next(answers))
    before = await names(store)
    assert await run_in_thread(COMMAND) == 1
    assert await names(store) == before
    assert await run_in_thread(COMMAND) == 0
    assert len(await names(store)) == len(before) + 2


async def test_another_cause_than_the_expected_is_refused(
    store: MemoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await names(store)
    assert await run_in_thread([*COMMAND, "--yes", "--cause", "chain_broken"]) == 1
    assert "is halted by log_start_above_head, not by chain_broken" in capsys.readouterr().err
    assert await run_in_thread([*COMMAND, "--yes", "--cause", "refused"]) == 2
    assert await run_in_thread([*COMMAND[:-1], " ", "--yes"]) == 1
    assert await names(store) == before


async def test_a_partition_that_goes_on_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    _open_on(monkeypatch, store, Cluster(log))
    before = await names(store)
    assert await run_in_thread([*COMMAND, "--yes"]) == 1
    assert "raw-events[0] is not halted for a loss" in capsys.readouterr().err
    assert await names(store) == before


async def test_a_broken_chain_is_a_finding(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    [genesis] = [name for name in await names(store) if name.endswith("genesis.json")]
    await store.delete([genesis])
    assert await run_in_thread(["ledger", "status", "--json"]) == 1
    [chain] = printed(capsys)
    assert (chain["state"], chain["cause"]) == ("halted", "chain_broken")
