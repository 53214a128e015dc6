"""`strongroom retention`: sets, shows, holds and releases, and says what makes no sense."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from workers import opening
from workers.__main__ import run
from workers.sealing.replicas import Replicas
from workers.settings import Settings
from workers.store.memory import MemoryStore


class Place(NamedTuple):
    partition: int
    offset: int


class Topics:
    """What was published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place:
        self.sent.append((topic, value))
        return Place(0, len(self.sent) - 1)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """A fleet with one workspace, acme, of one source."""
    store, topics = MemoryStore(), Topics()

    @asynccontextmanager
    async def ledger(settings: Settings) -> AsyncIterator[MemoryStore]:
        yield store

    @asynccontextmanager
    async def publisher(settings: Settings) -> AsyncIterator[Topics]:
        yield topics

    monkeypatch.setattr(opening, "open_ledger", ledger)

    @asynccontextmanager
    async def rows(settings: Settings) -> AsyncIterator[Replicas]:
        yield Replicas([store], requests=4)

    monkeypatch.setattr(opening, "open_publisher", publisher)
    monkeypatch.setattr(opening, "open_data", ledger)
    monkeypatch.setattr(opening, "open_key_rows", rows)
    assert run(["workspaces", "set", "acme", "--source", "web:browser", "--plan", "gold"]) == 0
    return topics


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["retention", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_retention_is_set_shown_and_audited(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    assert {line["days"] for line in shown(capsys, "show", "acme")["kept"] if line["clock"] == "main"} == {
        None
    }
    found = shown(capsys, "set", "acme", "--days", "90", "--reason", "contract 7")
    assert {(line["source"], line["clock"], line["days"]) for line in found["kept"]} == {
        ("web", "main", 90),
        ("web", "quarantine", 30),
        ("(any other)", "main", 90),
        ("(any other)", "quarantine", 30),
    }
    assert found["effectiveFrom"] is not None  # a first retention waits
    assert {line["kept_from"] for line in found["kept"]} == {"all"}
    assert found == shown(capsys, "show", "acme")
    audited = [json.loads(value) for topic, value in topics.sent if topic == "audit"]
    assert audited[-1]["why"] == "contract 7"
    assert audited[-1]["before"]["retentionDays"] is None
    assert audited[-1]["after"]["retentionDays"] == 90


def test_one_source_may_have_its_own(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "set", "acme", "--days", "5", "--source", "web")
    assert {(line["source"], line["days"]) for line in found["kept"] if line["clock"] == "main"} == {
        ("web", 5),
        ("(any other)", None),
    }
    assert run(["retention", "set", "acme", "--days", "5", "--source", "app"]) == 1
    assert "it has web" in capsys.readouterr().err


def test_a_hold_beats_it_and_its_release_waits(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    shown(capsys, "set", "acme", "--days", "1")
    found = shown(capsys, "hold", "acme", "--reason", "case 12")
    assert found["legalHold"]
    assert {(line["kept_from"], line["why"]) for line in found["kept"]} == {("all", "a legal hold")}
    found = shown(capsys, "release", "acme", "--reason", "settled")
    assert not found["legalHold"]
    assert {line["kept_from"] for line in found["kept"]} == {"all"}
    assert all(line["why"].startswith("nothing goes before") for line in found["kept"])


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("-3", "still arriving"),
        ("0", "still arriving"),
        ("2.5", "only whole days"),
        ("36501", "beyond 100 years"),
        ("a year", "neither a number of days nor"),
        ("nan", "only whole days"),
    ],
)
def test_nonsense_is_refused_in_words(
    topics: Topics, days: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = len(topics.sent)
    assert run(["retention", "set", "acme", "--days", days]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert len(topics.sent) == sent


@pytest.mark.parametrize("command", [["set", "--days", "3"], ["show"], ["hold", "--reason", "r"]])
def test_it_makes_no_workspace(
    topics: Topics, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["retention", command[0], "acne", *command[1:]]) == 1
    assert "there is no workspace acne" in capsys.readouterr().err


def test_a_hold_without_a_reason_is_refused(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["retention", "hold", "acme", "--reason", " "]) == 1
    assert "for a reason" in capsys.readouterr().err


def test_a_plan_may_be_needed(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRONGROOM_RETENTION_PLANS", "platinum, diamond")
    assert run(["retention", "set", "acme", "--days", "3"]) == 1
    assert "on the plan gold, which keeps for ever" in capsys.readouterr().err
    monkeypatch.setenv("STRONGROOM_RETENTION_PLANS", "platinum, gold")
    assert shown(capsys, "set", "acme", "--days", "3")


def test_a_workspace_is_closed_with_its_keys(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("first-key-of-acme", "second-key-of-acme"):
        assert run(["keys", "add", key, "--workspace", "acme", "--source", "web"]) == 0
    for _ in range(2):
        capsys.readouterr()
        assert run(["workspaces", "close", "acme", "--reason", "left", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["state"] == "closed"
        assert found["effectiveFrom"] > found["changedAt"]
    assert run(["keys", "list", "--json"]) == 0
    assert {key["state"] for key in json.loads(capsys.readouterr().out)} == {"revoked"}
    assert run(["workspaces", "close", "acme", "--reason", ""]) == 1
    assert run(["workspaces", "close", "acne", "--reason", "left"]) == 1
