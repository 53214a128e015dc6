"""The judge names everything that torture could bring about: each kind is planted in a clean archive."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.torture.checker import FINDINGS, Listed, Opened, Verdict
from tests.torture.journal import Journal, Outcome, Sent, read
from tests.torture.judge import compare
from tests.torture.report import Result, text
from tests.torture.rig import shortcomings
from tests.torture.tally import Tally

LOG = "ledger/v1/raw-events/AAAAAAAAAAAAAAAAAAAAAA.0/"


def envelope(name: str) -> bytes:
    return json.dumps({"event": {"messageId": name}}).encode()


@dataclass
class Archive:
    """Two partitions of three entries, two workspaces and three records each; offsets 4, 9, … are gaps.

    Everything is acknowledged. `lines` are an object's plain bytes by its key.
    """

    sent: dict[str, Sent] = field(default_factory=dict)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)  # name in the bucket → document
    lines: dict[str, list[bytes]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [body for name, body in self.bodies.items() if not name.endswith("genesis.json")]

    def documents(self) -> dict[str, bytes]:
        return {name: json.dumps(body, sort_keys=True).encode() for name, body in self.bodies.items()}

    def seal(self) -> None:
        """Makes each entry name the one before it, as the writers do, after a change."""
        for chain in {name.rpartition("/")[0] for name in self.bodies}:
            before = json.dumps(self.bodies[f"{chain}/genesis.json"], sort_keys=True).encode()
            for name in sorted(name for name in self.bodies if name.startswith(f"{chain}/0")):
                self.bodies[name]["previous"] = sha256(before).hexdigest()
                before = json.dumps(self.bodies[name], sort_keys=True).encode()

    def open_all(self, listed: list[Listed]) -> list[Opened]:
        packer = zstandard.ZstdCompressor()
        return [
            Opened(entry, stored, packer.compress(b"".join(self.lines[key])), self.refused.get(key))
            for entry, stored in listed
            for key in [stored["key"]]
        ]

    def judged(self) -> Verdict:
        return compare(self.documents(), self.sent.values(), self.open_all)


def clean() -> Archive:
    archive = Archive()
    for partition in (0, 1):
        chain = f"{LOG}{partition:05d}/"
        archive.bodies[f"{chain}genesis.json"] = {"first": 0}
        for first in (0, 5, 10):
            objects = []
            for workspace, offsets in (("acme", (first, first + 2)), ("beta", (first + 1, first + 3))):
                key = f"data/ws={workspace}/{partition}-{first}"
                archive.lines[key] = []
                for offset in offsets:
                    name = f"p{partition}-{offset}"
                    archive.sent[name] = Sent(Outcome.ACKNOWLEDGED, partition, offset, name)
                    archive.lines[key].append(envelope(name) + b"\n")
                objects.append({"key": key, "records": len(offsets)})
            archive.bodies[f"{chain}{first:020d}.json"] = {
                "partition": partition,
                "first": first,
                "next": first + 5,
                "counts": {"main": {"ok": 4}},
                "gaps": 1,
                "objects": objects,
            }
    archive.seal()
    return archive


def test_a_clean_archive_is_clean() -> None:
    verdict = clean().judged()
    assert verdict.valid
    assert verdict.examples == {}
    assert (verdict.acknowledged, verdict.ok, verdict.archived) == (24, 24, 24)
    assert (verdict.entries, verdict.objects, verdict.offsets, verdict.gaps) == (6, 12, 30, 6)


def test_a_run_in_which_nothing_was_acknowledged_proves_nothing() -> None:
    assert not compare({}, [], lambda listed: []).valid


# -- what is planted: each function says what it does ---------------------------------------------------


def lose_a_record(archive: Archive) -> None:
    """Its line is gone, and the entry hides it among the gaps."""
    entry = archive.entries[1]
    del archive.lines[entry["objects"][0]["key"]][0]
    entry["objects"][0]["records"] -= 1
    entry["counts"]["main"]["ok"] -= 1
    entry["gaps"] += 1
    archive.seal()


def lose_the_tail(archive: Archive) -> None:
    """The newest entry of a partition was never written, or is gone."""
    del archive.bodies[f"{LOG}00001/{10:020d}.json"]


def archive_twice(archive: Archive) -> None:
    """A later entry holds the line of an earlier one in the place of a gap."""
    earlier, later = archive.entries[0], archive.entries[1]
    key = later["objects"][0]["key"]
    archive.lines[key].append(archive.lines[earlier["objects"][0]["key"]][0])
    later["objects"][0]["records"] += 1
    later["counts"]["main"]["ok"] += 1
    later["gaps"] -= 1
    archive.seal()


def invent(archive: Archive) -> None:
    """A record that nobody sent."""
    archive.lines[archive.entries[2]["objects"][0]["key"]].append(envelope("nobody's") + b"\n")


def archive_an_aborted(archive: Archive) -> None:
    archive.sent["p1-6"] = archive.sent["p1-6"]._replace(outcome=Outcome.ABORTED)


def turn_round(archive: Archive) -> None:
    """Two records of an object in the other order."""
    archive.lines["data/ws=acme/0-5"].reverse()


def move_to_another_partition(archive: Archive) -> None:
    """Each holds the other's line."""
    ours, theirs = archive.lines["data/ws=acme/0-5"], archive.lines["data/ws=acme/1-5"]
    ours[1], theirs[1] = theirs[1], ours[1]


def fork(archive: Archive) -> None:
    """A second chain for the same partition, as of a writer that believed the topic to be new."""
    for first in (0, 5):
        name = f"{LOG.replace('AAAA', 'BBBB', 1)}00000/"
        archive.bodies[f"{name}genesis.json"] = {"first": 0}
        archive.bodies[f"{name}{first:020d}.json"] = dict(archive.bodies[f"{LOG}00000/{first:020d}.json"])
    archive.seal()


def skip(archive: Archive) -> None:
    """A chain that begins above the log's beginning."""
    del archive.bodies[f"{LOG}00000/{0:020d}.json"]
    archive.bodies[f"{LOG}00000/genesis.json"]["first"] = 5
    archive.seal()


def leave_a_hole(archive: Archive) -> None:
    """An entry from the middle of a chain is gone."""
    del archive.bodies[f"{LOG}00000/{5:020d}.json"]


def forge_a_digest(archive: Archive) -> None:
    archive.entries[4]["previous"] = "0" * 64


def close_a_chain(archive: Archive) -> None:
    """A loss was put on record, where there is none to acknowledge."""
    archive.bodies[f"{LOG}00000/{15:020d}.json"] = {"kind": "closing", "first": 15}


def miscount(archive: Archive) -> None:
    archive.entries[3]["counts"]["main"]["ok"] += 1
    archive.seal()


def miscount_an_object(archive: Archive) -> None:
    """Its entry says that it has a record more, and a gap less."""
    entry = archive.entries[3]
    entry["objects"][1]["records"] += 1
    entry["counts"]["main"]["ok"] += 1
    entry["gaps"] -= 1
    archive.seal()


def spoil_an_object(archive: Archive) -> None:
    archive.refused["data/ws=beta/1-5"] = "S3EncryptionClientError: tag mismatch"


PLANTED: list[tuple[Callable[[Archive], None], dict[str, int]]] = [
    (lose_a_record, {"lost": 1}),
    (lose_the_tail, {"lost": 4}),
    (archive_twice, {"duplicated": 1, "reordered": 1}),
    (invent, {"unseen": 1, "miscounted": 1}),
    (archive_an_aborted, {"aborted_archived": 1}),
    (turn_round, {"reordered": 1}),
    (move_to_another_partition, {"reordered": 2}),
    (fork, {"duplicated": 8, "offset_twice": 10}),
    (skip, {"lost": 4, "offset_missing": 6}),
    (leave_a_hole, {"lost": 4, "offset_missing": 5, "chain_broken": 1}),
    (forge_a_digest, {"chain_broken": 2}),
    (close_a_chain, {"chain_broken": 1}),
    (miscount, {"miscounted": 2}),
    (miscount_an_object, {"miscounted": 1}),
    (spoil_an_object, {"unreadable": 1, "lost": 2}),
]


@pytest.mark.parametrize(("plant", "found"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_what_is_planted_is_named_and_nothing_else(
    plant: Callable[[Archive], None], found: dict[str, int]
) -> None:
    archive = clean()
    plant(archive)
    verdict = archive.judged()
    assert {kind: count for kind, count in verdict.counts.items() if count} == found
    assert verdict.examples.keys() == found.keys()
    assert not verdict.valid
    assert not result(verdict).passed


def test_every_kind_of_finding_was_planted() -> None:
    assert {kind for _, found in PLANTED for kind in found} == set(FINDINGS)


def test_without_an_answer_a_record_may_be_archived_or_not() -> None:
    archive = clean()
    archive.sent["p0-0"] = Sent(Outcome.UNKNOWN, -1, -1, "p0-0")
    archive.sent["i1"] = Sent(Outcome.UNKNOWN, -1, -1, "i1")
    verdict = archive.judged()
    assert verdict.valid
    assert (verdict.ok, verdict.recovered, verdict.unknown) == (23, 1, 2)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = [
        Sent(Outcome.ACKNOWLEDGED, 3, 17, "p1"),
        Sent(Outcome.ABORTED, 0, 4, "t1"),
        Sent(Outcome.UNKNOWN, -1, -1, "i1"),
    ]
    journal = Journal(tmp_path / "sent.tsv")
    journal.write(written)
    journal.close()
    assert list(read(journal.path)) == written


# -- the harness itself --------------------------------------------------------------------------------


def result(verdict: Verdict, **changed: Any) -> Result:
    values: dict[str, Any] = {
        "seed": 1,
        "command": "make torture SEED=1",
        "versions": {},
        "stack": "none",
        "verdict": verdict,
        "opened_by": "nobody",
        "faults": {},
        "kills": 1,
        "workers": 1,
        "processes": 1,
        "partitions": 2,
        "ended_by_themselves": {},
        "said": {},
        "verify": {"clean": True},
        "seconds": {},
        "records_per_second": 1.0,
        "faults_done": [],
        "failures": [],
    }
    return Result(**{**values, **changed})


def test_a_run_passes_on_a_clean_verdict_of_both_and_no_failure_of_its_own() -> None:
    verdict = clean().judged()
    assert result(verdict).passed
    assert not result(verdict, verify={"clean": False}).passed
    assert not result(verdict, failures=["never injected: pause"]).passed


def test_a_fault_that_was_never_injected_is_named_and_fails_the_run() -> None:
    tally = Tally(["pause", "kill_anywhere", "s3_reset"])
    tally.count("pause")
    tally.count("s3_reset", 0)  # tried, and it struck nobody
    failures = shortcomings(tally, {}, {0: 1, 1: 1}, 2)
    assert failures == ["never injected: kill_anywhere", "never injected: s3_reset"]
    shown = result(clean().judged(), failures=failures)
    assert not shown.passed
    assert "HARNESS FAILED: never injected: s3_reset" in text(shown)


def test_a_fault_that_nobody_announced_may_not_be_counted() -> None:
    with pytest.raises(KeyError):
        Tally(["pause"]).count("puase")


def test_a_halted_partition_and_an_empty_one_fail_the_run() -> None:
    tally = Tally([])
    assert shortcomings(tally, {}, {0: 1, 1: 1}, 2) == []
    assert "2 partitions were halted" in shortcomings(tally, {"partition_halted": 2}, {0: 1, 1: 1}, 2)[0]
    assert "records in 1 only" in shortcomings(tally, {}, {0: 1}, 2)[0]


def test_an_entry_that_no_chain_leads_to_is_judged_all_the_same() -> None:
    archive = clean()
    stray = dict(archive.entries[0], first=99, next=100, counts={}, gaps=1, objects=[])
    archive.bodies[f"{LOG}00000/{99:020d}.json"] = stray
    verdict = archive.judged()
    assert verdict.counts["chain_broken"] == 1
    assert verdict.entries == 7
