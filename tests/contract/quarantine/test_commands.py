"""`strongroom origins` as a person types it: words, JSON, exit codes. All in memory."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from tests.contract.policy.world import Topics, by, writer
from tests.contract.quarantine.world import QUARANTINE, archived, quarantining
from tests.contract.replay.world import SITE, World
from tests.unit.intake.making import NOW, TODAY
from tests.unit.ledger.world import MarkingKeys
from tests.unit.origins.observing import observation
from topics import origin_observations
from topics.origin_verdicts import VerdictKind
from workers import __main__, opening
from workers.cli import origin_quarantine, running
from workers.errors import Retryable
from workers.ledger.verdict_commands import Judged, append_verdict
from workers.store.memory import MemoryStore
from workers.store.retry import Retry
from workers.stream import recent

FOUND = {
    "pages_told": 12.0,
    "pages_found": 12.0,
    "content_match": 0.7575,
    "canonical_shadow": 0.84,
    "visitors": 40.0,
    "known_visitors": 0.0,
    "records": 1312.0,
    "networks": 9.0,
}
COPY = Judged("known", "acme", "copy.example", VerdictKind.COPY, FOUND)
HOST = ("--workspace", "acme", "--host", "copy.example", "--reason", "they rang")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str], world: World, topics: Topics) -> None:
        self.capsys, self.world, self.topics = capsys, world, topics
        self.books = writer(world.store, topics)

    def __call__(self, *arguments: str) -> Outcome:
        return Outcome(__main__.run(arguments), *self.capsys.readouterr())

    def origins(self, *arguments: str) -> Outcome:
        return self("origins", *arguments)

    def judge(self, judged: Judged = COPY) -> None:
        running.run(append_verdict(self.books.verdicts, judged, by("12 pages")))

    def ids(self, unit: Any) -> Counter[str]:
        return running.run(self.world.ids(unit))


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """acme with one source, two keys of it, and another customer; five records of a batch in the archive."""
    world, topics = quarantining(MemoryStore()), Topics()

    @asynccontextmanager
    async def store(settings: object) -> AsyncIterator[object]:
        yield world.store

    @asynccontextmanager
    async def keystore(settings: object) -> AsyncIterator[object]:
        yield MarkingKeys()

    async def read_since(
        connection: object, topic: str, since: int, *, follow: bool
    ) -> AsyncIterator[list[bytes]]:
        yield [value for name, _, value in topics.log if name == topic]

    monkeypatch.setattr(recent, "read_since", read_since)

    @asynccontextmanager
    async def publisher(settings: object) -> AsyncIterator[Topics]:
        yield topics

    for name, opened in (("open_ledger", store), ("open_data", store), ("open_keystore", keystore)):
        monkeypatch.setattr(opening, name, opened)
    monkeypatch.setattr(opening, "open_publisher", publisher)
    monkeypatch.setattr(running, "patient", lambda: Retry(attempts=1))
    monkeypatch.setattr(origin_quarantine, "now", lambda: NOW)
    monkeypatch.setenv("STRONGROOM_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("STRONGROOM_ACTOR", "ann")
    found = Shell(capsys, world, topics)
    for workspace in ("acme", "zoo"):
        assert (
            found("workspaces", "set", workspace, "--source", "site:browser", "--origins", "quarantine").code
            == 0
        )
    for key, workspace in (("known", "acme"), ("second", "acme"), ("theirs", "zoo")):
        assert found("keys", "add", key, "--workspace", workspace, "--source", "site").code == 0
    running.run(archived(world))
    return found


def test_what_the_judge_found_is_told_in_words(shell: Shell) -> None:
    shell.judge()
    [row] = shell.origins("list", "--workspace", "acme", "--json").json
    assert (row["key"], row["host"], row["kind"], row["confirmed"]) == (
        "known",
        "copy.example",
        "copy",
        False,
    )
    assert shell.origins("list").out.splitlines()[1].split("\t")[:6] == [
        *("acme", "known", "copy.example", "copy", "the judge", "12 of 12"),
    ]
    assert shell.origins("list", "--workspace", "zoo", "--json").json == []
    told = shell.origins("show", "https://copy.example/a", "--workspace", "acme").out
    for words in (
        "its records are quarantined, for 30 days at most",
        "12 of the 12 pages that were seen on it, by path and title, are the customer's own",
        "84 % of its records say that their page is on the customer's site",
        "None of its 40 visitors was ever seen on the customer's own site",
        "1,312 records came from it, from 9 networks",
    ):
        assert words in told
    shell("workspaces", "set", "acme", "--origins", "flag")
    [shown] = shell.origins("show", "copy.example", "--workspace", "acme", "--json").json
    assert "flagged" in shown["means"]
    assert len(shown["words"]) == 5


def test_the_customers_word_is_for_all_its_keys_or_one_and_on_record(shell: Shell) -> None:
    shell.judge()
    blocked = shell.origins("block", "copy.example", "--workspace", "acme", "--reason", "they rang", "--json")
    assert [(row["key"], row["kind"], row["evidence"]) for row in blocked.json["verdicts"]] == [
        ("known", "hostile", FOUND),
        ("second", "hostile", {}),
    ]
    approved = shell.origins(
        "approve", "copy.example", "--workspace", "acme", "--key", "second", "--reason", "theirs"
    )
    assert approved.code == 0
    rows = shell.origins("list", "--json").json
    assert [(row["key"], row["kind"], row["reason"]) for row in rows] == [
        ("known", "hostile", "they rang"),
        ("second", "benign", "theirs"),
    ]
    assert {key: row["kind"] for key, row in shell.topics.compacted("origin-verdicts").items()} == {
        "known copy.example": "hostile",
        "second copy.example": "benign",
    }
    audit = [(line["action"], line["who"], line["why"]) for line in shell.topics.audit()][-3:]
    assert sorted(audit) == [
        ("origin-verdicts.benign", "ann", "theirs"),
        *[("origin-verdicts.hostile", "ann", "they rang")] * 2,
    ]


def test_a_key_that_was_ended_needs_no_word(shell: Shell) -> None:
    shell("keys", "revoke", "second", "--reason", "leaked")
    blocked = shell.origins("block", "copy.example", "--workspace", "acme", "--reason", "r", "--json")
    assert [row["key"] for row in blocked.json["verdicts"]] == ["known"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["block", "copy.example", "--workspace", "acme"], 2, "--reason"),
        (["block", "copy.example", "--workspace", "acme", "--reason", " "], 1, "needs a reason"),
        (["block", "*.example", "--workspace", "acme", "--reason", "r"], 1, "can't be read"),
        (["block", "a.example", "--workspace", "nobody", "--reason", "r"], 1, "no write key"),
        (
            ["block", "a.example", "--workspace", "acme", "--key", "theirs", "--reason", "r"],
            1,
            "none of acme",
        ),
        (["show", "a.example", "--workspace", "acme"], 1, "nothing was said"),
        (["show", "a.example", "--workspace", "nobody"], 1, "no workspace"),
        (["release", *HOST, "--day", "2026-11-26", "--since", "1d"], 1, "exclude each other"),
        (["discard", *HOST[:-1], " "], 1, "needs a reason"),
        (["release", *HOST, "--key", "theirs"], 1, "none of acme"),
    ],
)
def test_nonsense_is_refused_in_words(shell: Shell, arguments: list[str], code: int, words: str) -> None:
    outcome = shell.origins(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert shell.topics.compacted("origin-verdicts") == {}


def test_what_is_released_is_marked_unless_the_host_is_approved(shell: Shell) -> None:
    rows = shell.origins("release", *HOST, "--dry-run", "--json")
    assert rows.json == [{"day": TODAY, "source": "site", "became": "quarantined", "records": 3}]
    flagged = shell.origins("release", *HOST, "--key", "known", "--json")
    assert flagged.json == [{"day": TODAY, "source": "site", "became": "flagged", "records": 2}]
    shell.origins("approve", "copy.example", "--workspace", "acme", "--reason", "theirs")
    accepted = shell.origins("release", *HOST, "--since", "2d", "--json")
    assert accepted.json == [{"day": TODAY, "source": "site", "became": "accepted", "records": 1}]
    again = shell.origins("release", *HOST, "--json")
    assert (again.code, again.json) == (0, [])
    assert "nothing is quarantined of copy.example" in again.err
    assert shell.ids(SITE) == Counter(["a0", "b0", "s0", "own0"])
    first = running.run(shell.world.entries(QUARANTINE))[0]
    assert (first.actor, first.reason) == ("ann", "copy.example: they rang")


def test_what_is_discarded_is_gone_unless_there_is_a_hold(shell: Shell) -> None:
    shell("workspaces", "set", "acme", "--legal-hold")
    held = shell.origins("discard", *HOST, "--day", TODAY)
    assert held.code == 1
    assert "legal hold" in held.err
    shell("workspaces", "set", "acme", "--no-legal-hold")
    assert shell.origins("discard", *HOST, "--day", "2026-11-25", "--json").json == []
    gone = shell.origins("discard", *HOST, "--day", TODAY, "--json")
    assert gone.json == [{"day": TODAY, "source": "site", "became": "discarded", "records": 3}]
    assert shell.ids(QUARANTINE) == Counter(["o0"])
    assert shell.ids(SITE) == Counter(["own0"])


def seen(shell: Shell, *observed: tuple[str, int], **fields: Any) -> None:
    for host, records in observed:
        value = origin_observations.codec.encode(observation(host, records, key="known", **fields))
        shell.topics.log.append(("eu.origin-observations", b"known", value))


def test_a_proposed_policy_is_tried_on_what_was_seen(shell: Shell) -> None:
    shell("workspaces", "set", "acme", "--origins", "flag", "--allow-origin", "[*.]shop.example")
    shell.judge()
    nothing = shell.origins("simulate", "--workspace", "acme")
    assert "no host of acme was seen in the last 24 h" in nothing.err
    seen(shell, ("www.shop.example", 9000), ("copy.example", 312), ("new.example", 50))
    shell.topics.log.append(("eu.origin-observations", b"known", b"garbage"))
    tried = shell.origins("simulate", "--workspace", "acme", "--origins", "quarantine", "--since", "2h")
    assert tried.out.splitlines() == [
        "source\tkey\thost\trecords\tnow\tthen\tverdict",
        "web\tknown\tcopy.example\t312\tflagged\tquarantined\tcopy",
    ]
    assert "Of 9,362 records of acme that were seen in the last 2 h" in tried.err
    assert "would have been quarantined: 312 (0 as it stands)" in tried.err
    assert "would have been accepted: 9,000 (as now)" in tried.err
    assert "1 records of eu.origin-observations can't be read" in tried.err
    other = shell.origins(
        *("simulate", "--workspace", "acme", "--allow-origin", "new.example", "--block", "copy.example"),
        "--json",
    ).json
    assert other["then"] == {
        "accepted": 9050, "flagged": 0, "quarantined": 0, "rejected": 312, "rehosted": 0,
    }  # fmt: skip
    assert [row["host"] for row in other["hosts"]] == ["copy.example", "new.example"]
    assert shell.origins("simulate", "--workspace", "acme", "--allow-origin", "*.com").code == 1
    # nothing was changed
    assert shell("workspaces", "show", "acme", "--json").json["allowedOrigins"] == ["[*.]shop.example"]
    assert len(shell.origins("list", "--json").json) == 1


def test_a_list_of_own_hosts_is_proposed_from_what_was_seen(shell: Shell) -> None:
    assert "no host of acme" in shell.origins("learn", "--workspace", "acme").err
    shell.judge()
    seen(shell, ("www.shop.example", 9000), ("shop.example", 500), ("copy.example", 312), ("rare.example", 3))
    learnt = shell.origins("learn", "--workspace", "acme")
    assert learnt.out.splitlines()[1].split("\t")[:3] == [
        "[*.]shop.example",
        "shop.example, www.shop.example",
        "9500",
    ]
    assert "workspaces set acme --allow-origin '[*.]shop.example'" in learnt.err
    rows = shell.origins("learn", "--workspace", "acme", "--json").json
    assert {row["hosts"][0]: row["why"] for row in rows[1:]} == {
        "copy.example": "the judge calls it a copy",
        "rare.example": "it has too few of the records",
    }


def test_without_kafka_the_word_stands_and_the_command_says_so(shell: Shell) -> None:
    shell.topics.down = Retryable("Kafka is away", remedy="Start it")
    outcome = shell.origins("block", "copy.example", "--workspace", "acme", "--reason", "r")
    assert outcome.code == 3
    assert "stands in the policy chain" in outcome.err
    assert len(shell.origins("list", "--json").json) == 2
    assert shell.origins("release", *HOST, "--key", "known", "--json").json[0]["records"] == 2
