"""`strongroom orphans`: lists, says what would go, and deletes only with --yes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.ledger.test_orphans import chain_of, put
from tests.unit.ledger.test_sweep import left
from workers import opening
from workers.__main__ import run
from workers.settings import Settings
from workers.store.faults import Fault
from workers.store.memory import MemoryStore


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryStore, str]:
    """A bucket with two listed objects, one under way, an orphan that is old enough, one that is not."""
    written = [1_600_000_000_000]  # long ago, and for the last one, far in the future
    store = MemoryStore(now=lambda: written[-1])
    head = await chain_of(store, [5, 5])
    key = await put(store, head.chain, 0)
    await put(store, head.chain, 10)
    written.append(4_000_000_000_000)
    await put(store, head.chain, 5)

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[MemoryStore]:
        yield store

    monkeypatch.setattr(opening, "open_ledger", opened)
    monkeypatch.setattr(opening, "open_data", opened)
    return store, key


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list_says_what_is_not_listed_and_why(
    world: tuple[MemoryStore, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["orphans", "list", "--json"]) == 0
    orphan, young, pending = printed(capsys)
    assert (orphan["key"], orphan["kind"], pending["kind"]) == (world[1], "orphan", "pending")
    assert orphan["age"] > 86400 > young["age"]
    assert orphan["size"] == 6
    assert orphan["why"].endswith("has committed at 0")
    assert orphan["chain"].startswith("ledger/v1/raw-events/")
    assert run(["orphans", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
async def test_a_sweep_is_a_dry_run(
    world: tuple[MemoryStore, str], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store, key = world
    await in_thread(["orphans", "sweep", *flags, "--json"], 0)
    said = printed(capsys)
    assert (said["dry run"], said["orphan"], said["due"], said["swept"]) == (True, 2, 1, 0)
    assert key in await left(store)


async def test_yes_deletes(world: tuple[MemoryStore, str], capsys: pytest.CaptureFixture[str]) -> None:
    store, key = world
    await in_thread(["orphans", "sweep", "--yes", "--json"], 0)
    assert printed(capsys)["swept"] == 1
    assert key not in await left(store)
    assert len(await left(store)) == 4


async def test_what_is_refused_or_in_doubt_is_a_finding(
    world: tuple[MemoryStore, str], capsys: pytest.CaptureFixture[str]
) -> None:
    store, key = world
    store.faults.add(Fault.KEPT, operation="delete", key=key)
    await in_thread(["orphans", "sweep", "--yes"], 1)
    assert key in capsys.readouterr().err
    await store.put("data/odd\x1b", b"")
    await in_thread(["orphans", "list"], 1)
    await in_thread(["orphans", "sweep"], 1)
    assert "data/odd\\x1b: nothing writes such a name" in capsys.readouterr().err


async def in_thread(arguments: list[str], code: int) -> None:
    """Commands run a loop of their own."""
    assert await asyncio.to_thread(run, arguments) == code
