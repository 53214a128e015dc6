"""Compares what was acknowledged with what was archived, by the documented format alone.

In Jepsen's words: of the records that were acknowledged, those that are archived are `ok`, the others `lost`.
An archived record whose writer got no answer is `recovered`; one that nobody wrote is `unseen`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from tests.torture.journal import Outcome, Sent
from tests.torture.ledger import Documents, chain_of

EXAMPLES = 5  # of each kind of finding
FINDINGS = (
    "lost",
    "duplicated",
    "unseen",
    "aborted_archived",
    "reordered",
    "offset_twice",  # counted in two entries
    "offset_missing",  # between a genesis and its head, and counted in none
    "chain_broken",
    "miscounted",
    "unreadable",
)


class Entry(NamedTuple):
    name: str
    body: dict[str, Any]


Listed = tuple[Entry, dict[str, Any]]  # an object as its entry lists it


class Opened(NamedTuple):
    """An object that the ledger lists: what was sealed in it, or why it was refused."""

    entry: Entry
    stored: dict[str, Any]
    content: bytes
    refused: str | None


@dataclass
class Verdict:
    acknowledged: int = 0
    ok: int = 0
    recovered: int = 0
    aborted: int = 0
    unknown: int = 0
    archived: int = 0  # lines of all objects
    entries: int = 0
    objects: int = 0
    offsets: int = 0
    gaps: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FINDINGS, 0))
    examples: dict[str, list[str]] = field(default_factory=dict)

    def find(self, kind: str, what: str, times: int = 1) -> None:
        self.counts[kind] += times
        shown = self.examples.setdefault(kind, [])
        if len(shown) < EXAMPLES:
            shown.append(what)

    @property
    def valid(self) -> bool:
        """A run in which nothing was acknowledged proves nothing."""
        return self.acknowledged > 0 and not any(self.counts.values())


def walk(documents: Documents, verdict: Verdict) -> list[Entry]:
    """The entries that the chains lead to, in their order; what else there is, is found fault with."""
    entries: list[Entry] = []
    reached: set[str] = set()
    for genesis in sorted(name for name in documents if name.endswith("/genesis.json")):
        chain = chain_of(genesis)
        if chain is None:
            continue
        before, offset = documents[genesis], json.loads(documents[genesis])["first"]
        reached.add(genesis)
        while (body := documents.get(name := f"{chain[0]}{offset:020d}.json")) is not None:
            entry = json.loads(body)
            reached.add(name)
            if "kind" in entry:
                verdict.find("chain_broken", f"{name} is a {entry['kind']}: nobody acknowledged a loss here")
                break
            if entry["previous"] != sha256(before).hexdigest():
                verdict.find("chain_broken", f"{name} does not name the entry before it")
            if entry["first"] != offset or entry["next"] <= offset or entry["partition"] != chain[1]:
                verdict.find("chain_broken", f"{name} says that it is [{entry['first']}, {entry['next']})")
                break
            entries.append(Entry(name, entry))
            before, offset = body, entry["next"]
    for name in sorted(documents.keys() - reached):
        verdict.find("chain_broken", f"no chain leads to {name}")
        if chain_of(name) is not None:
            entries.append(Entry(name, json.loads(documents[name])))
    return entries


def count_offsets(documents: Documents, entries: Iterable[Entry], verdict: Verdict) -> None:
    """Every offset of a partition from its log's beginning to its head is in exactly one entry."""
    ranges: dict[int, list[tuple[int, int, str]]] = {}
    for name, body in documents.items():
        chain = chain_of(name)
        if chain is not None and name.endswith("/genesis.json"):
            ranges.setdefault(chain[1], [])
            if json.loads(body)["first"] != 0:  # nothing expires during a run
                verdict.find("offset_missing", f"{name} begins above the log's beginning")
    for name, entry in entries:
        ranges.setdefault(entry["partition"], []).append((entry["first"], entry["next"], name))
        verdict.entries += 1
        verdict.offsets += entry["next"] - entry["first"]
        verdict.gaps += entry["gaps"]
        counted = sum(sum(reasons.values()) for reasons in entry["counts"].values())
        if counted + entry["gaps"] != entry["next"] - entry["first"]:
            verdict.find("miscounted", f"{name}: counts and gaps do not add up")
        if counted != sum(stored["records"] for stored in entry["objects"]):
            verdict.find("miscounted", f"{name}: its objects hold another number of records")
    for found in ranges.values():
        end = 0
        for first, following, name in sorted(found):
            if first < end:
                verdict.find("offset_twice", name, min(end, following) - first)
            elif first > end:
                verdict.find("offset_missing", f"[{end}, {first}) before {name}", first - end)
            end = max(end, following)


class Comparison:
    """Fed with every object that the ledger lists; `finish` gives the verdict."""

    def __init__(self, sent: Iterable[Sent], verdict: Verdict) -> None:
        self._sent: dict[str, Sent] = {}
        self._verdict = verdict
        for record in sent:
            self._sent[record.id] = record
        self._archived: Counter[str] = Counter()

    def take(self, entry: Entry, stored: Mapping[str, Any], plain: bytes) -> None:
        """`plain` is the object as its reader unpacked it: one envelope a line."""
        verdict = self._verdict
        lines = plain.splitlines()
        verdict.objects += 1
        if len(lines) != stored["records"]:
            verdict.find(
                "miscounted", f"{stored['key']}: {len(lines)} lines, the entry says {stored['records']}"
            )
        last = -1
        for line in lines:
            name = str(json.loads(line)["event"]["messageId"])
            self._archived[name] += 1
            last = self._place(entry, name, last)

    def unreadable(self, stored: Mapping[str, Any], why: str) -> None:
        self._verdict.find("unreadable", f"{stored['key']}: {why}")

    def finish(self) -> Verdict:
        verdict = self._verdict
        verdict.archived = self._archived.total()
        for name, times in self._archived.items():
            if times > 1:
                verdict.find("duplicated", f"{name}: {times} times", times - 1)
            self._judge(name, self._sent.get(name))
        for sent in self._sent.values():
            if sent.outcome is Outcome.ACKNOWLEDGED:
                verdict.acknowledged += 1
                if sent.id not in self._archived:
                    verdict.find("lost", f"{sent.id} of {sent.partition}:{sent.offset}")
            elif sent.outcome is Outcome.ABORTED:
                verdict.aborted += 1
            else:
                verdict.unknown += 1
        return verdict

    def _judge(self, name: str, sent: Sent | None) -> None:
        if sent is None:
            self._verdict.find("unseen", name)
        elif sent.outcome is Outcome.ABORTED:
            self._verdict.find("aborted_archived", f"{name} of {sent.partition}:{sent.offset}")
        elif sent.outcome is Outcome.UNKNOWN:
            self._verdict.recovered += 1
        else:
            self._verdict.ok += 1

    def _place(self, entry: Entry, name: str, last: int) -> int:
        """Finds fault with a record out of its order; the highest offset of the object so far."""
        sent = self._sent.get(name)
        if sent is None or sent.offset < 0:
            return last
        body = entry.body
        inside = sent.partition == body["partition"] and body["first"] <= sent.offset < body["next"]
        if not inside or sent.offset <= last:
            self._verdict.find("reordered", f"{name} of {sent.partition}:{sent.offset} in {entry.name}")
        return max(last, sent.offset)
