"""`strongroom retention`: sets, shows, holds and releases, and says what makes no sense."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import day
from workers import opening
from workers.__main__ import run
from workers.cli import retention_run
from workers.intake.dispositions import Clock
from workers.ledger import workspace_terms
from workers.retention import closing, names, pending
from workers.retention.closing import Closing
from workers.retention.closing import Step as ClosingStep
from workers.retention.pending import Pending, Step
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.sealing.rows import State, UnitRow, unit_row
from workers.settings import Settings
from workers.store.memory import MemoryStore


class Place(NamedTuple):
    partition: int
    offset: int


class Topics:
    """What was published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.store = MemoryStore()  # of all else

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place:
        self.sent.append((topic, value))
        return Place(0, len(self.sent) - 1)


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    """A fleet with one workspace, acme, of one source."""
    topics = Topics()
    store = topics.store

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

    @asynccontextmanager
    async def all_data(settings: Settings) -> AsyncIterator[list[MemoryStore]]:
        yield [store]

    monkeypatch.setattr(opening, "open_data", ledger)
    monkeypatch.setattr(opening, "open_all_data", all_data)
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


HELD = ["workspaces", "set", "acme", "--legal-hold"]


@pytest.mark.parametrize(
    ("command", "code", "left"),
    [
        (HELD, 0, set()),
        (["workspaces", "set", "acme", "--retention-days", "3650"], 0, set()),
        (["workspaces", "set", "acme", "--retention-days", "forever"], 0, {Clock.QUARANTINE}),
        (["retention", "set", "acme", "--days", "3650"], 0, set()),
        (["retention", "hold", "acme", "--reason", "case 12"], 0, set()),
        (["workspaces", "set", "acme", "--plan", "silver"], 0, {Clock.MAIN, Clock.QUARANTINE}),
    ],
)
def test_whatever_keeps_it_longer_takes_back_what_is_under_way(
    topics: Topics, command: list[str], code: int, left: set[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time at which the command returns: with no worker running."""
    monkeypatch.setattr(workspace_terms, "GRACE_MS", -7_200_000)  # it has long been in force
    assert run(["workspaces", "set", "acme", "--retention-days", "5"]) == 0
    # a quarantine is kept for 30 days at most
    days = {Clock.MAIN: 100, Clock.QUARANTINE: 10 if "3650" in command else 100}
    units = {clock: unit_of(ago, clock) for clock, ago in days.items()}

    async def begun() -> None:
        for each in units.values():
            await pending.begin(topics.store, beginning(each), retry())
            row = UnitRow(
                **each._asdict(),
                state=State.DISABLED,
                changed_at=1,
                generation=1,
                under=1,
                wrapped="",
            )
            await Replicas([topics.store], requests=4).created(row)

    async def looked() -> tuple[set[Clock], set[Clock]]:
        rows = Replicas([topics.store], requests=4)
        under_way = {stood.pending.unit.clock async for stood in pending.under_way(topics.store, retry())}
        disabled = set()
        for clock, each in units.items():
            row = await rows.settled(unit_row(each))
            if row is not None and row.state is State.DISABLED:
                disabled.add(clock)
        return under_way, disabled

    asyncio.run(begun())
    assert run(command) == code
    assert asyncio.run(looked()) == (left, left)


def unit_of(ago: int, clock: Clock) -> Unit:
    return Unit("acme", "web", day(ago, time.time_ns() // 1_000_000), clock)


def beginning(of: Unit, step: Step = Step.DISABLED) -> Pending:
    return Pending(
        **of._asdict(), step=step, begun_at=1, reason="retention", policy=None, attempt="a" * 16, by="w"
    )


def test_what_comes_too_late_is_named(topics: Topics, capsys: pytest.CaptureFixture[str]) -> None:
    gone = unit_of(100, Clock.MAIN)
    asyncio.run(pending.begin(topics.store, beginning(gone, Step.DISPOSING), retry()))
    assert run(HELD) == 1
    assert "can't be taken back" in capsys.readouterr().err


def test_a_workspace_whose_own_key_is_going_opens_no_more(
    topics: Topics, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["workspaces", "set", "acme", "--state", "closed"]) == 0
    begun = Closing(
        workspace="acme", step=ClosingStep.BEGUN, begun_at=1, policy=(0, 1), words="", attempt="a", by="w"
    )
    opening = ["workspaces", "set", "acme", "--state", "open"]
    asyncio.run(closing.begin(topics.store, begun, retry()))
    assert run(opening) == 0  # which takes it back
    assert asyncio.run(closing.read(topics.store, "acme", retry())) is None
    assert run(["workspaces", "set", "acme", "--state", "closed"]) == 0
    destroying = msgspec.structs.replace(begun, step=ClosingStep.DESTROYING, attempt="b")
    asyncio.run(closing.begin(topics.store, destroying, retry()))
    assert run(HELD) == 1
    assert "the key of acme itself is being destroyed" in capsys.readouterr().err
    assert run(opening) == 1
    assert "its own key is destroyed" in capsys.readouterr().err


def test_by_hand_a_closed_workspace_ends_too_and_its_certificate_is_listed(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*arguments: str) -> Any:
        capsys.readouterr()
        assert run(["retention", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    monkeypatch.setattr(workspace_terms, "GRACE_MS", -7_200_000)  # it has long been in force
    assert run(["workspaces", "set", "zoo", "--source", "web:browser"]) == 0
    assert run(["workspaces", "set", "acme", "--state", "closed"]) == 0
    for arguments in (["run"], ["plan"], ["plan", "--workspace", "acme"]):
        (row,) = printed(*arguments)
        assert (row["workspace"], row["source"], row["goes"]) == ("acme", "(its own key)", "now")
    assert printed("plan", "--workspace", "zoo") == []
    assert printed("certificates") == []
    (step,) = printed("run", "--yes")
    assert (step["unit"], step["outcome"]) == ("acme", "destroyed")
    later = time.time_ns() // 1_000_000 + 3_600_000
    monkeypatch.setattr(retention_run, "now", lambda: later)
    (step,) = printed("run", "--yes")
    assert (step["unit"], step["outcome"]) == ("acme", "done")
    assert printed("run", "--yes") == printed("plan") == []
    (row,) = printed("certificates")
    assert (row["workspace"], row["kind"], row["reason"]) == ("acme", "closing", "closed")
    assert printed("certificates", "--workspace", "zoo") == []
    assert run(["retention", "certificates", "--full", "--workspace", "acme"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "closing"
    told = [json.loads(value) for topic, value in topics.sent if topic == "audit"]
    assert [each["action"] for each in told].count("retention.closed") == 1


def test_by_hand_a_closing_that_fails_is_said(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workspace_terms, "GRACE_MS", -7_200_000)
    assert run(["workspaces", "set", "acme", "--state", "closed"]) == 0
    asyncio.run(topics.store.put(names.closing("acme"), b"garbage"))
    capsys.readouterr()
    assert run(["retention", "run", "--yes", "--json"]) == 1
    (step,) = json.loads(capsys.readouterr().out)
    assert (step["unit"], step["outcome"]) == ("acme", "failed")
    assert "is no closing under way" in step["words"]
