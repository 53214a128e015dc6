"""Reads every policy chain from its first entry on: nothing missing, nothing altered, no forbidden change."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from topics.codec import PolicyValue
from topics.write_keys import WriteKey
from workers.errors import Fatal, Poison
from workers.ledger import policy_entries as entries
from workers.ledger.chain import read
from workers.ledger.policy_entries import FOLD_EVERY, PolicyEntry
from workers.ledger.policy_kinds import KINDS, PolicyKind, refused
from workers.ledger.verify_deep import Owner
from workers.ledger.verify_listing import Listed, Listing, in_order
from workers.ledger.verify_report import Kind, Report
from workers.store.port import Store
from workers.store.retry import Retry

ROOT = "policy/v1/"


class Found(NamedTuple):
    listed: Listed
    place: tuple[PolicyKind[Any], int, int] | None  # kind, shard, seq
    body: bytes | None
    fold: bytes | None


@dataclass
class Shard:
    """A shard as far as it was read."""

    kind: PolicyKind[Any]
    number: int
    seq: int = 0
    digest: str | None = None  # of the newest entry; None before the first
    linked: bool = True  # the next entry can be held against `digest`
    whole: bool = True  # nothing so far was missing or unreadable: `states` are what stands
    states: dict[str, PolicyValue] = field(default_factory=dict)


class PolicyAudit:
    """`ahead` entries are read at once. Memory: those, a shard's values, and all write keys (200 bytes each)
    where `owners` is given.
    """

    def __init__(
        self, ledger: Store, retry: Retry, report: Report, *, ahead: int, owners: dict[str, Owner] | None
    ) -> None:
        self._ledger, self._retry, self._report = ledger, retry, report
        self._ahead, self._owners = ahead, owners
        self._pairs: dict[Owner, Owner] = {}  # one pair for the many keys of a source

    async def run(self) -> None:
        shard: Shard | None = None
        listing = Listing(self._ledger, ROOT, self._retry)
        async with aclosing(in_order(listing, self._read, ahead=self._ahead)) as all_found:
            async for found in all_found:
                self._check_versions(found.listed)
                if found.place is None or found.body is None:
                    continue
                kind, number, seq = found.place
                if shard is None or (shard.kind, shard.number) != (kind, number):
                    shard = Shard(kind, number)
                self._check(shard, seq, found.body)
                if found.fold is not None:
                    self._check_fold(shard, found.fold)

    async def _read(self, listed: Listed) -> Found:
        place = _place(listed.key)
        if place is None or not listed.there:
            return Found(listed, place, None, None)
        kind, shard, seq = place
        body = await read(self._ledger, listed.key, self._retry)
        fold = None
        if seq % FOLD_EVERY == 0:
            fold = await read(self._ledger, entries.fold_name(kind.topic, shard, seq), self._retry)
        return Found(listed, place, body, fold)

    def _check_versions(self, listed: Listed) -> None:
        if listed.markers:
            self._report.found(Kind.DELETED_ENTRY, listed.key, "it has a delete marker")
        if listed.versions > 1:
            self._report.found(Kind.OVERWRITTEN_ENTRY, listed.key, f"it has {listed.versions} versions")
        if listed.there and _place(listed.key) is None:
            self._report.found(Kind.STRANGE_KEY, listed.key, "no policy chain has such a name")

    def _check(self, shard: Shard, seq: int, body: bytes) -> None:
        key, report = entries.entry_name(shard.kind.topic, shard.number, seq), self._report
        if seq != shard.seq + 1:
            report.found(Kind.POLICY_HOLE, key, f"entries ({shard.seq}, {seq}) are not there")
            shard.whole = shard.linked = False
        before, linked = shard.digest, shard.linked
        shard.seq, shard.digest, shard.linked = seq, entries.digest(body), True
        try:
            entry = entries.decode_entry(body, shard.kind.topic, shard.number, seq)
            after = {change.key: shard.kind.codec.decode(bytes(change.after)) for change in entry.changes}
        except (Fatal, Poison) as error:
            report.found(Kind.BROKEN_POLICY, key, error.message)
            shard.whole = shard.linked = False
            return
        report.policy_entries += 1
        if linked and entry.previous != before:
            report.found(Kind.BROKEN_POLICY_LINK, key, "it does not name the one before it by its digest")
            shard.whole = False
        if shard.whole:
            self._check_changes(key, shard, entry)
        shard.states.update(after)
        self._own(after.values())

    def _check_changes(self, key: str, shard: Shard, entry: PolicyEntry) -> None:
        for words in refused(shard.kind, shard.states, entry):
            self._report.found(Kind.FORGED_POLICY, key, words)

    def _check_fold(self, shard: Shard, body: bytes) -> None:
        """Readers believe a fold that names its entry's digest; any other only costs them time."""
        topic = shard.kind.topic
        fold = entries.decode_fold(body, topic, shard.number, shard.seq)
        if fold is None or fold.digest != shard.digest or not shard.whole:
            return
        encode = shard.kind.codec.encode
        if sorted(map(bytes, fold.states)) != sorted(encode(value) for value in shard.states.values()):
            self._report.found(
                Kind.FORGED_FOLD,
                entries.fold_name(topic, shard.number, shard.seq),
                "the chain says otherwise",
            )

    def _own(self, values: Iterable[PolicyValue]) -> None:
        if self._owners is None:
            return
        for value in values:
            if isinstance(value, WriteKey):
                pair = (value.workspace, value.source)
                self._owners[value.key] = self._pairs.setdefault(pair, pair)


def _place(key: str) -> tuple[PolicyKind[Any], int, int] | None:
    kind = KINDS.get(key.removeprefix(ROOT).partition("/")[0])
    if kind is None:
        return None
    try:
        return (kind, *entries.place_of(key, kind.topic))
    except Fatal:
        return None
