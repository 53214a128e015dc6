"""`strongroom context` and `manifest`: what a customer's own client is given."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest

from tests.unit.ledger.audited import ENTRIES, archived
from tests.unit.ledger.world import TOPIC_ID
from workers import opening
from workers.__main__ import run
from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, UNCLAIMED, Clock, Disposition, Group
from workers.ledger.names import ChainId
from workers.sealing.keys import Unit, context_of
from workers.store.memory import MemoryStore

CHAIN = ChainId("raw-events", TOPIC_ID, 1, 3)
DAY = "2026-11-25"


def name_of(group: Group) -> str:
    return CHAIN.data(group, 10, 20, "0123456789abcdef")


GOOD = name_of(Group("acme", "shop", DAY, Disposition.ACCEPTED, Clock.MAIN))


@pytest.mark.parametrize(
    "group",
    [
        Group("acme", "shop", DAY, Disposition.ACCEPTED, Clock.MAIN),
        Group("acme", "shop", DAY, Disposition.FLAGGED, Clock.MAIN),
        Group("acme", "shop", DAY, Disposition.QUARANTINED, Clock.QUARANTINE),
        Group("acme", UNCLAIMED, DAY, Disposition.QUARANTINED, Clock.QUARANTINE),
        Group(PLATFORM, UNCLAIMED, DAY, Disposition.QUARANTINED, Clock.UNCLAIMED),
        Group(PLATFORM, DEAD_LETTERS, DAY, Disposition.DEAD_LETTERED, Clock.MAIN),
    ],
)
def test_a_name_of_each_disposition_has_its_context(group: Group, capsys: pytest.CaptureFixture[str]) -> None:
    key = name_of(group)
    assert run(["context", key]) == 0
    unit = Unit(group.workspace, group.source, group.day, group.clock)
    assert json.loads(capsys.readouterr().out) == context_of(unit, key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "data/",
        f"s3://bucket/{GOOD}",
        f"/{GOOD}",
        GOOD.replace("accepted", "lost"),
        GOOD.replace("ws=acme", "ws=ac me"),
        GOOD.replace(DAY, "2026-02-30"),
        GOOD + "\n",
        "ledger/v1/raw-events/x.1/00000/00000000000000000010.json",
        "data/\x1b[2Jx",
    ],
)
def test_a_name_that_is_none_of_ours_is_refused(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["context", key]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "\x1b[2J" not in told.err
    assert "is no name of an archived object" in told.err or "is no day" in told.err


def opens(value: Callable[[], Any]) -> Any:
    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Any]:
        yield value()

    return opened


def refuse(*_: object) -> NoReturn:
    raise AssertionError("a manifest needs neither keys, nor Kafka, nor the objects")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    asyncio.run(archived(store))
    monkeypatch.setattr(opening, "open_ledger", opens(lambda: store))
    for name in ("open_data", "open_keystore", "open_key_rows", "open_roots", "open_publisher", "kafka"):
        monkeypatch.setattr(opening, name, refuse)
    return store


def test_a_manifest_is_json_lines(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["manifest", "--workspace", "acme"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [json.loads(line) for line in lines]
    assert len(found) == ENTRIES
    assert list(found[0]) == [
        *("key", "source", "day", "clock", "disposition", "records"),
        *("plain_bytes", "stored_bytes", "sha256", "context"),
    ]
    assert {line["context"]["workspace"] for line in found} == {"acme"}
    for line in found:
        assert run(["context", line["key"]]) == 0
        assert json.loads(capsys.readouterr().out) == line["context"]


def test_a_manifest_is_narrowed_as_reading_is(store: MemoryStore, capsys: pytest.CaptureFixture[str]) -> None:
    one = ["manifest", "--workspace", "_platform", "--source", DEAD_LETTERS, "--day", "2026-11-26"]
    assert run([*one, "--disposition", "accepted", "--disposition", "dead-lettered"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == ENTRIES
    assert run([*one, "--disposition", "accepted"]) == 0
    assert run([*one[:-1], "2026-11-27"]) == 0
    assert capsys.readouterr().out == ""
    assert run([*one, "--disposition", "lost"]) == 2
    assert run(["manifest"]) == 2
