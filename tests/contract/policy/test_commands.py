"""`strongroom keys|workspaces|policy` as a person types them: words, JSON, exit codes. All in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tests.contract.policy.world import Topics
from tests.unit.topics.test_values import REJECTION
from topics import rejections
from workers import __main__, opening
from workers.cli import running
from workers.errors import Retryable
from workers.intake.dispositions import PLATFORM
from workers.ledger.policy_logs import PolicyLogs
from workers.store.memory import MemoryStore
from workers.store.retry import Retry
from workers.stream import recent

ADD = ["keys", "add", "--workspace", "acme", "--source", "web"]


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str], topics: Topics, store: MemoryStore) -> None:
        self.capsys, self.topics, self.store = capsys, topics, store

    def __call__(self, *arguments: str) -> Outcome:
        code = __main__.run(arguments)
        return Outcome(code, *self.capsys.readouterr())


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A fleet of its own, whose prefix is `eu.`; the person is Ann."""
    store, topics = MemoryStore(), Topics()

    @asynccontextmanager
    async def ledger(settings: object) -> AsyncIterator[MemoryStore]:
        yield store

    @asynccontextmanager
    async def publisher(settings: object) -> AsyncIterator[Topics]:
        yield topics

    async def topic_ids(settings: object) -> dict[str, str]:
        return {"write-keys": "k", "workspaces": "w", "origin-verdicts": "v"}

    async def read_since(
        connection: object, topic: str, since: int, *, follow: bool
    ) -> AsyncIterator[list[bytes]]:
        if topics.down is not None:
            raise topics.down
        yield [value for name, _, value in topics.log if name == topic]

    monkeypatch.setattr(recent, "read_since", read_since)
    monkeypatch.setattr(opening, "open_ledger", ledger)
    monkeypatch.setattr(opening, "open_publisher", publisher)
    monkeypatch.setattr(opening, "policy_topic_ids", topic_ids)
    monkeypatch.setattr(running, "patient", lambda: Retry(attempts=1))
    monkeypatch.setenv("STRONGROOM_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("STRONGROOM_ACTOR", "ann")
    return Shell(capsys, topics, store)


@pytest.fixture
def acme(shell: Shell) -> Shell:
    assert shell("workspaces", "set", "acme", "--source", "web:browser").code == 0
    return shell


def test_a_key_lives_from_registration_to_revocation(acme: Shell) -> None:
    added = acme(*ADD, "k1", "--reason", "launch", "--json").json
    assert (added["key"], added["state"], added["reason"]) == ("k1", "active", "launch")
    assert acme("keys", "show", "k1", "--json").json == added
    revoked = acme("keys", "revoke", "k1", "--reason", "leaked", "--json").json
    assert revoked["state"] == "revoked"
    assert acme.topics.compacted("write-keys")["k1"] == revoked
    back = acme(*ADD, "k1")
    assert (back.code, back.out) == (1, "")
    assert "k1 is revoked and can't become active" in back.err
    assert "final" in back.err
    audit = [(r["action"], r["who"], r["why"]) for r in acme.topics.audit() if r["subject"] == "k1"]
    assert audit == [("write-keys.active", "ann", "launch"), ("write-keys.revoked", "ann", "leaked")]


def test_a_fresh_key_is_made_where_none_is_given(acme: Shell) -> None:
    keys = [acme(*ADD, "--json").json["key"] for _ in range(2)]
    assert all(len(key) == 32 and key.isalnum() for key in keys)
    assert keys[0] != keys[1]


def test_rotation_says_both_keys(acme: Shell) -> None:
    acme(*ADD, "k1")
    rotated = acme("keys", "rotate", "k1", "--overlap", "12h", "--json").json
    assert (rotated["old"]["key"], rotated["old"]["state"]) == ("k1", "retiring")
    assert rotated["old"]["until"] == rotated["old"]["changedAt"] + 12 * 3_600_000
    assert (rotated["new"]["state"], len(rotated["new"]["key"])) == ("active", 32)
    assert acme("keys", "abuse", "k1", "--reason", "bots", "--json").json["state"] == "abused"


def test_keys_are_listed_and_chosen_from(acme: Shell) -> None:
    for key in ("k2", "k1"):
        acme(*ADD, key)
    acme("keys", "revoke", "k2", "--reason", "leaked")
    assert [value["key"] for value in acme("keys", "list", "--json").json] == ["k1", "k2"]
    assert [value["key"] for value in acme("keys", "list", "--state", "revoked", "--json").json] == ["k2"]
    assert acme("keys", "list", "--workspace", "other", "--json").json == []
    lines = acme("keys", "list").out.splitlines()
    assert lines[0].split("\t")[:4] == ["key", "workspace", "source", "state"]
    assert lines[1].split("\t")[:4] == ["k1", "acme", "web", "active"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["keys", "revoke", "k1"], 2, "--reason"),
        (["keys", "abuse", "k1"], 2, "--reason"),
        (["keys", "revoke", "k1", "--reason", ""], 1, "without a reason"),
        (["keys", "revoke", "nobody", "--reason", "x"], 1, "not registered"),
        (["keys", "show", "nobody"], 1, "not registered"),
        (["keys", "show", "two words"], 1, "visible ASCII"),
        (["keys", "rotate", "k1", "--overlap", "soon"], 2, "is no duration"),
        (["keys", "rotate", "k1", "--overlap", "-1d"], 2, "is no duration"),
        (["keys", "add", "k9", "--workspace", "other", "--source", "web"], 1, "workspaces set other"),
        (["keys", "add", "k9", "--workspace", "acme", "--source", "app"], 1, "it has web"),
        (["workspaces", "show", "other"], 1, "no workspace other"),
        (["workspaces", "set", "_platform"], 1, "underscore"),
        (["workspaces", "set", "acme", "--retention-days", "0"], 2, "makes no sense"),
        (["workspaces", "set", "acme", "--retention-days", "-3"], 2, "makes no sense"),
        (["workspaces", "set", "acme", "--retention-days", "soon"], 2, "neither a number"),
        (["workspaces", "set", "acme", "--source", "web"], 2, "names no type"),
        (["workspaces", "set", "acme", "--source", "web:desktop"], 2, "browser, server, mobile"),
        (["workspaces", "set", "acme", "--source", "a b:web"], 2, "names no type"),
        (["workspaces", "set", "acme", "--source", "a b:server"], 1, "can't stand in an object name"),
        (["workspaces", "set", "acme", "--source", "web:browser:*.com"], 1, "other people"),
        (["workspaces", "set", "acme", "--allow-origin", "https://a.example"], 1, "can't be read"),
        (["workspaces", "set", "acme", "--state", "half"], 2, "open"),
        (["workspaces", "set", "acme", "--plan", ""], 1, "plan"),
        (["workspaces", "set", "acme", "--quota-records", "0"], 2, "unlimited"),
        (["workspaces", "set", "acme", "--quota-bytes", "some"], 2, "unlimited"),
        (["workspaces", "set", "acme", "--quota-burst", "0"], 2, "1<=x<=3600"),
        (["workspaces", "set", "acme", "--over-quota", "drop"], 2, "reject"),
        (["workspaces", "set", "acme", "--file", "/nowhere.json"], 2, "/nowhere.json"),
    ],
)
def test_nonsense_is_refused_in_words(acme: Shell, arguments: list[str], code: int, words: str) -> None:
    acme(*ADD, "k1")
    before = acme("keys", "list", "--json").json, acme("workspaces", "list", "--json").json
    outcome = acme(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert (acme("keys", "list", "--json").json, acme("workspaces", "list", "--json").json) == before


def test_a_workspace_is_set_up_and_changed_bit_by_bit(shell: Shell) -> None:
    first = shell(
        *(
            "workspaces",
            "set",
            "acme",
            "--plan",
            "gold",
            "--source",
            "web:browser:shop.example,[*.]acme.example",
        ),
        *("--source", "api:server", "--allow-origin", "acme.example", "--retention-days", "30", "--json"),
    ).json
    assert (first["plan"], first["retentionDays"], first["allowedOrigins"]) == ("gold", 30, ["acme.example"])
    assert [(s["id"], s["type"], s["allowedOrigins"]) for s in first["sources"]] == [
        ("web", "browser", ["shop.example", "[*.]acme.example"]),
        ("api", "server", []),
    ]
    assert first["effectiveFrom"] == first["changedAt"] + 86_400_000
    second = shell(
        *("workspaces", "set", "acme", "--allow-origin", "b.example", "--source", "app:mobile"),
        *("--legal-hold", "--retention-days", "forever", "--json"),
    ).json
    assert second["allowedOrigins"] == ["acme.example", "b.example"]
    assert [source["id"] for source in second["sources"]] == ["web", "api", "app"]
    assert (second["plan"], second["retentionDays"], second["legalHold"]) == ("gold", None, True)
    third = shell("workspaces", "set", "acme", "--no-legal-hold", "--state", "closed", "--json").json
    assert (third["legalHold"], third["state"]) == (False, "closed")
    assert shell("workspaces", "show", "acme", "--json").json == third
    assert shell.topics.compacted("workspaces")["acme"] == third
    assert "forever" in shell("workspaces", "show", "acme").out
    assert shell("workspaces", "list", "--state", "open", "--json").json == []
    refused = shell(*ADD, "k1")
    assert (refused.code, "closed" in refused.err) == (1, True)


def test_a_quota_is_set_bit_by_bit_and_shown(acme: Shell) -> None:
    fields = ("quotaRecords", "quotaBytes", "quotaBurst", "overQuota")

    def quota(*arguments: str) -> tuple[object, ...]:
        value = acme("workspaces", "set", "acme", *arguments, "--json").json
        return tuple(value[field] for field in fields)

    assert quota("--plan", "gold") == (None, None, 10, "off")
    assert "quota a key\tnone" in acme("workspaces", "show", "acme").out
    assert quota("--quota-records", "100") == (100, None, 10, "off")
    assert "100 records/s, 10 s at once; not held to it" in acme("workspaces", "show", "acme").out
    assert quota("--quota-bytes", "5000", "--quota-burst", "3", "--over-quota", "reject") == (
        100,
        5000,
        3,
        "reject",
    )
    assert quota("--quota-records", "unlimited") == (None, 5000, 3, "reject")
    assert "5,000 bytes/s, 3 s at once; over it: reject" in acme("workspaces", "show", "acme").out
    assert quota("--over-quota", "flag") == (None, 5000, 3, "flag")


def test_a_quarantine_without_own_hosts_is_said_to_do_nothing(acme: Shell) -> None:
    opted = acme("workspaces", "set", "acme", "--origins", "quarantine", "--json")
    assert (opted.json["origins"], "nothing is quarantined" in opted.err) == ("quarantine", True)
    listed = acme("workspaces", "set", "acme", "--allow-origin", "shop.example")
    assert (listed.code, listed.err) == (0, "")
    assert "copies\tquarantined" in listed.out
    assert acme("workspaces", "set", "acme", "--origins", "flag", "--json").json["origins"] == "flag"


def refused(key: str, records: int, batch: int, workspace: str = PLATFORM) -> bytes:
    return rejections.codec.encode(
        replace(
            REJECTION, workspace=workspace, write_key=key, records=records, start=batch, end=batch + 10,
            first_at=60_000 * batch, last_at=60_000 * batch + 1,
        )
    )  # fmt: skip


def test_who_registers_a_key_is_told_what_was_refused_of_it(acme: Shell) -> None:
    silent = acme(*ADD)
    assert (silent.code, silent.err) == (0, "")  # nobody has used a key that is new
    fresh = acme(*ADD, "k1")
    assert (
        fresh.err == "What was kept of it in the last 7 days will be replayed into acme/web by the steward\n"
    )
    for value in (
        refused("k2", 3, 1),
        refused("k2", 4, 2),
        refused("k2", 4, 2),  # told twice
        refused("k2", 100, 3, "acme"),  # by another rule, when it was known
        refused("k3", 5, 4),
        b"garbage",
    ):
        acme.topics.log.append(("eu.rejections", None, value))
    told = acme(*ADD, "k2")
    assert "Of k2, 7 records at least were refused" in told.err
    assert "from 1970-01-01T00:01:00.000Z to 1970-01-01T00:02:00.001Z" in told.err
    rotated = acme("keys", "rotate", "k2", "--new", "k3", "--json")
    assert rotated.json["refusedBefore"]["records"] == 5
    assert "k3, 5 records" in rotated.err


def test_a_workspace_can_be_printed_edited_and_given_back(acme: Shell, tmp_path: Path) -> None:
    printed = acme("workspaces", "show", "acme", "--json").json
    file = tmp_path / "policy.json"
    file.write_text(
        json.dumps({**printed, "contacts": ["ann@acme.example"], "switches": {"quarantine": True}})
    )
    changed = acme("workspaces", "set", "acme", "--file", str(file), "--json").json
    assert (changed["contacts"], changed["switches"]) == (["ann@acme.example"], {"quarantine": True})
    assert changed["seq"] == printed["seq"] + 1
    again = acme("workspaces", "set", "acme", "--file", str(file))
    assert again.code == 1
    assert f"made from change {printed['seq']}" in again.err
    file.write_text('{"retentiondays": 3}')
    mistyped = acme("workspaces", "set", "acme", "--file", str(file))
    assert (mistyped.code, "retentionDays" in mistyped.err) == (1, True)
    file.write_text("{")
    assert "not JSON" in acme("workspaces", "set", "acme", "--file", str(file)).err
    file.write_text("[]")
    assert "no JSON object" in acme("workspaces", "set", "acme", "--file", str(file)).err


def test_who_published_all_again_says_to_which_topics(acme: Shell) -> None:
    """Else no archive worker would start on them before the steward has looked."""
    logs, lost = PolicyLogs(acme.store, Retry(attempts=1)), {"origin-verdicts": "lost", "write-keys": "k"}
    for topic, topic_id in lost.items():
        asyncio.run(logs.keep(topic, topic_id))
    found = {"write-keys": "k", "workspaces": "w", "origin-verdicts": "v"}
    assert asyncio.run(logs.replaced(found)) == {"origin-verdicts": "v"}
    assert acme("policy", "publish").code == 0
    assert asyncio.run(logs.replaced(found)) == {}
    assert asyncio.run(logs.known("workspaces")) == "w"


def test_policy_is_published_again_for_a_new_kafka(acme: Shell) -> None:
    acme(*ADD, "k1")
    acme("origins", "block", "copy.example", "--workspace", "acme", "--reason", "they rang")
    known = acme.topics.compacted("write-keys")
    acme.topics.log.clear()
    assert acme("policy", "publish", "--json").json == {
        "write-keys": 1,
        "workspaces": 1,
        "origin-verdicts": 1,
        "findings": [],
    }
    assert acme.topics.compacted("write-keys") == known
    # nobody's records are let in before it is known whom their customer has blocked
    assert [topic for topic, _, _ in acme.topics.log] == [
        "eu.origin-verdicts",
        "eu.workspaces",
        "eu.write-keys",
    ]


def test_a_dependency_that_is_down_is_exit_code_3(acme: Shell) -> None:
    acme(*ADD, "k1")
    acme.topics.down = Retryable("Kafka is away", remedy="Start it")
    outcome = acme("keys", "revoke", "k1", "--reason", "leaked")
    assert outcome.code == 3
    assert "stands in the policy chain" in outcome.err
    assert acme("keys", "show", "k1", "--json").json["state"] == "revoked"  # reading needs no Kafka


def test_without_a_name_the_user_and_machine_are_recorded(
    acme: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRONGROOM_ACTOR")
    monkeypatch.setenv("LOGNAME", "bob")
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    acme(*ADD, "k1")
    record = next(r for r in acme.topics.audit() if r["subject"] == "k1")
    assert (record["who"], record["host"]) == ("bob@desk", "desk")
