"""`strongroom unclaimed`: what waits by day, and by key once the objects may be opened."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.contract.replay.world import World, events
from tests.unit.intake.making import DAY, NOW, key_record
from tests.unit.ledger.world import MarkingKeys, retry
from workers import __main__, opening
from workers.cli import running, unclaimed
from workers.store.memory import MemoryStore

Show = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def world() -> World:
    return World(MemoryStore())


@pytest.fixture
def show(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    @asynccontextmanager
    async def store(settings: object) -> AsyncIterator[object]:
        yield world.store

    @asynccontextmanager
    async def keystore(settings: object) -> AsyncIterator[object]:
        yield MarkingKeys()

    for name, opened in (("open_ledger", store), ("open_data", store), ("open_keystore", keystore)):
        monkeypatch.setattr(opening, name, opened)
    monkeypatch.setattr(running, "patient", retry)
    monkeypatch.setattr(unclaimed, "now", lambda: NOW)

    def run(*arguments: str) -> tuple[int, Any, str]:
        code = __main__.run(["unclaimed", "--json", *arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return run


async def filled(world: World) -> None:
    await world.archive([*events("loud", "a", "b", "c"), *events("calm", "d")], at=NOW - 2 * DAY)
    await world.archive([*events("loud", "e"), *events("calm", "f"), *events("newer", "g")])
    world.register(key_record("newer"))
    await world.steward().run_pass()


def test_what_waits_is_shown_by_day_and_by_key(world: World, show: Show) -> None:
    running.run(filled(world))
    size = len(events("loud", "a")[0])
    assert show() == (
        0,
        [
            {
                "day": "2026-11-24",
                "expires": "2026-12-02T00:00:00.000Z",
                "objects": 1,
                "records": 4,
                "bytes": 4 * (size + 1),
            },
            {
                "day": "2026-11-26",
                "expires": "2026-12-04T00:00:00.000Z",
                "objects": 1,
                "records": 2,
                "bytes": 3 * (size + 1) + 1,  # of the whole object; `newer` is a letter longer
            },
        ],
        "",
    )
    loud = {
        "key": "loud",
        "records": 4,
        "bytes": 4 * size,
        "first_day": "2026-11-24",
        "last_day": "2026-11-26",
        "expires": "2026-12-02T00:00:00.000Z",
    }
    calm = {**loud, "key": "calm", "records": 2, "bytes": 2 * size}
    assert show("--keys") == (0, [loud, calm], "")
    assert show("--keys", "--top", "1") == (0, [loud, {**calm, "key": "*"}], "")


def test_keys_beyond_those_told_apart_are_one_row(
    world: World, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unclaimed, "KEYS_MAX", 1)
    running.run(filled(world))
    assert [(row["key"], row["records"]) for row in show("--keys")[1]] == [("loud", 4), ("*", 2)]


def test_an_object_that_cannot_be_read_is_named(world: World, show: Show) -> None:
    async def broken() -> str:
        await filled(world)
        name = await anext(stat.key async for stat in world.store.list("data/ws=_platform/"))
        await world.store.put(name, b"garbage")
        return str(name)

    name = running.run(broken())
    code, rows, said = show("--keys")
    assert (code, [row["records"] for row in rows]) == (1, [1, 1])
    assert name in said
