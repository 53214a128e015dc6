"""Proves the ledger from the bucket alone, as an outside auditor would: no Kafka, no writer's word, no keys.

Each thing that is wrong becomes a Finding with a stable kind; checking goes on behind it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from workers.errors import Fatal, Poison
from workers.intake.dispositions import STORED, Clock, Disposition
from workers.ledger.chain import find, read
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.head import Head, after_entry, after_genesis
from workers.ledger.names import ChainId
from workers.ledger.walk import ROOT, listed, place
from workers.sealing.format import parse_header
from workers.sealing.keys import Unit, context_of
from workers.store.port import Store
from workers.store.retry import Retry

DATA = "data/"


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str  # stable, for scripts
    where: str  # the key
    detail: str


@dataclass
class Report:
    chains: int = 0
    entries: int = 0
    offsets: int = 0
    records: Counter[str] = field(default_factory=Counter)  # by disposition
    objects: int = 0
    stored_bytes: int = 0
    plain_bytes: int = 0
    orphans: int = 0  # objects that no entry lists: left by a crash or still being written; never read
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.findings

    def found(self, kind: str, where: str, detail: str) -> None:
        self.findings.append(Finding(kind, where, detail))


class Verifier:
    """One pass over a ledger bucket and its data bucket.

    `progress(report)` is called after each entry. `readers` objects are read side by side; memory is those
    and the names of all listed objects.
    """

    def __init__(
        self,
        ledger: Store,
        data: Store,
        retry: Retry,
        *,
        readers: int = 8,
        progress: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self._ledger = ledger
        self._data = data
        self._retry = retry
        self._readers = asyncio.Semaphore(readers)
        self._progress = progress
        self._listed: dict[str, str] = {}  # object → the entry that lists it
        self.report = Report()

    async def run(self) -> Report:
        async for chain, keys in self._chains():
            await self._check_chain(chain, keys)
        await self._check_versions()
        await self._count_orphans()
        return self.report

    async def _chains(self) -> AsyncIterator[tuple[ChainId, list[str]]]:
        """Each chain with the keys of its entries, in order. A key that fits no chain is a finding."""
        chain: ChainId | None = None
        keys: list[str] = []
        async for stat in listed(self._ledger, ROOT, self._retry):
            found = place(stat.key)
            if found is None:
                self.report.found("strange_key", stat.key, "no chain has such a name")
                continue
            if found.chain != chain:
                if chain is not None:
                    yield chain, keys
                chain, keys = found.chain, []
            if found.name != "genesis.json":
                keys.append(stat.key)
        if chain is not None:
            yield chain, keys

    async def _check_chain(self, chain: ChainId, keys: list[str]) -> None:
        self.report.chains += 1
        head = await self._genesis(chain)
        for key in keys:
            head = await self._check_entry(chain, key, head)
            self._progress(self.report)

    async def _genesis(self, chain: ChainId) -> Head | None:
        body = await read(self._ledger, chain.genesis, self._retry)
        if body is None:
            self.report.found("missing_genesis", chain.genesis, "the chain has entries but no beginning")
            return None
        try:
            return after_genesis(chain, body)
        except Fatal as error:
            self.report.found("broken_genesis", chain.genesis, error.message)
            return None

    async def _check_entry(self, chain: ChainId, key: str, head: Head | None) -> Head | None:
        """The head behind this entry, as good as it can be told: later entries are judged by it."""
        body = await read(self._ledger, key, self._retry)
        if body is None:
            self.report.found("vanished_entry", key, "it was listed, and is not there")
            return head
        name = key.removeprefix(chain.prefix).removesuffix(".json")
        if not name.isdigit() or key != chain.entry(int(name)):
            self.report.found("strange_key", key, "no entry has such a name")
            return head
        try:
            entry, newer = after_entry(chain, int(name), body)
        except Fatal as error:
            self.report.found("broken_entry", key, error.message)
            return head
        self.report.entries += 1
        self.report.offsets += entry.next - entry.first
        self._check_place(key, entry, head)
        self._check_counts(key, entry)
        async with asyncio.TaskGroup() as tasks:
            for stored in entry.objects:
                tasks.create_task(self._check_object(key, stored))
        return newer

    def _check_place(self, key: str, entry: Entry, head: Head | None) -> None:
        if head is None:
            return
        if entry.first > head.next:
            self.report.found("gap", key, f"offsets [{head.next}, {entry.first}) are in no entry")
        elif entry.first < head.next:
            self.report.found("overlap", key, f"offsets [{entry.first}, {head.next}) are in two entries")
        elif entry.previous != head.digest:
            self.report.found("fork", key, "it does not name the entry before it by its digest")

    def _check_counts(self, key: str, entry: Entry) -> None:
        stored: Counter[Disposition] = Counter()
        for each in entry.objects:
            stored[each.disposition] += each.records
        for disposition, reasons in entry.counts.items():
            self.report.records[disposition] += sum(reasons.values())
        self.report.records[Disposition.GAP] += entry.gaps
        for disposition in STORED:
            counted = sum(entry.counts.get(disposition, {}).values())
            if counted != stored[disposition]:
                self.report.found(
                    "miscount", key, f"counts {counted} {disposition}, its objects hold {stored[disposition]}"
                )

    async def _check_object(self, entry_key: str, stored: StoredObject) -> None:
        if stored.key in self._listed:
            self.report.found(
                "listed_twice", stored.key, f"listed by {self._listed[stored.key]} and {entry_key}"
            )
        self._listed[stored.key] = entry_key
        unit = f"data/ws={stored.workspace}/src={stored.source}/day={stored.day}/{stored.disposition}/"
        if not stored.key.startswith(unit):
            self.report.found("misplaced_object", stored.key, f"its entry says it belongs under {unit}")
        async with self._readers:
            got = await find(self._data, stored.key, self._retry)
        if got is None:
            self.report.found("missing_object", stored.key, f"listed by {entry_key}")
            return
        self.report.objects += 1
        self.report.stored_bytes += len(got.body)
        self.report.plain_bytes += stored.plain_bytes
        if len(got.body) != stored.stored_bytes:
            self.report.found(
                "object_size", stored.key, f"{len(got.body)} bytes, its entry says {stored.stored_bytes}"
            )
        elif sha256(got.body).hexdigest() != stored.sha256:
            self.report.found("object_digest", stored.key, "its bytes are not those that were archived")
        self._check_seal(stored, got.metadata)

    def _check_seal(self, stored: StoredObject, metadata: Mapping[str, str]) -> None:
        """The context under which the object was sealed is in clear: it must be what the entry says."""
        unit = Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))
        try:
            parse_header(metadata).require(context_of(unit, stored.key))
        except (Poison, ValueError) as error:
            self.report.found("foreign_seal", stored.key, str(error))

    async def _check_versions(self) -> None:
        """Nothing under ledger/ is written twice or deleted: a second version means that somebody did."""

        async def attempt() -> list[Finding]:
            seen: Counter[str] = Counter()
            found = []
            async for version in self._ledger.versions(ROOT):
                seen[version.key] += 1
                if version.delete_marker:
                    found.append(Finding("deleted_entry", version.key, "it has a delete marker"))
                elif seen[version.key] == 2:
                    found.append(Finding("overwritten_entry", version.key, "it has more than one version"))
            return found

        self.report.findings += await self._retry.call(attempt)

    async def _count_orphans(self) -> None:
        async for stat in listed(self._data, DATA, self._retry):
            self.report.orphans += stat.key not in self._listed
