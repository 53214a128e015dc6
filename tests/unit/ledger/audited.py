"""A small, whole archive to audit: true seals and key rows, policy chains, dead letters, two workspaces.

Whoever plants a fault here is a forger with all rights on the bucket: `forged` links every later entry anew.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.contract.policy.world import Spot
from tests.runs import runs_of
from tests.unit.intake.making import NOW, Record, envelope, key_record, policy_of, workspace_record
from tests.unit.ledger.world import WRITER, done, log_id, retry
from topics.workspaces import Source, SourceType
from workers.by import By
from workers.intake.batch import Batch
from workers.intake.dispositions import PLATFORM
from workers.intake.sort import Sorter
from workers.ledger import entries, fleet
from workers.ledger.chain import append
from workers.ledger.entries import Closing, Entry, Genesis, StoredObject
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import Head, after_genesis
from workers.ledger.names import ChainId
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import Books, add_key, open_books, set_workspace
from workers.ledger.verify import Opening, Verifier
from workers.ledger.verify_objects import unit_of
from workers.ledger.verify_report import Report
from workers.sealing.keystore import Keystore
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots

ROOTS = Roots([FileRoot(bytes(range(32)))])
OWNERS = {"key-acme": ("acme", "shop"), "key-beta": ("beta", "site")}
# 4 records of acme, 2 of beta, a dead letter, and a gap, an entry
VALUES = [*[envelope("key-acme")] * 4, *[envelope("key-beta")] * 2, b"garbage"]
OFFSETS = len(VALUES) + 1
ENTRIES = 4


class Unheard:
    """Where policy would be published."""

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Spot:
        return Spot(0, 0)


class Archive(NamedTuple):
    store: Any  # ledger, data and keys in one bucket
    keys: Keystore
    heads: list[Head]  # after the genesis, and after each entry
    books: Books

    @property
    def chain(self) -> ChainId:
        return self.heads[0].chain

    def key(self, index: int) -> str:
        """Of the entry of that number; -1 is the newest."""
        return self.chain.entry(self.heads[index % (len(self.heads) - 1)].next)

    async def entry(self, index: int) -> Entry:
        key = self.key(index)
        return entries.decode(Entry, (await self.store.get(key)).body, key)

    async def object(
        self, index: int, disposition: str = "accepted", workspace: str = "acme"
    ) -> StoredObject:
        return next(
            stored
            for stored in (await self.entry(index)).objects
            if stored.disposition == disposition and stored.workspace in (workspace, PLATFORM)
        )

    async def replaced(self, key: str, body: bytes, metadata: Any = None) -> None:
        """Leaves no trace where there are no versions."""
        await self.store.delete([key])
        await self.store.put(key, body, metadata=metadata or {})

    async def forged(self, index: int, change: Callable[[Entry], Entry]) -> None:
        """Changes an entry, and links all behind it anew."""
        entry = change(await self.entry(index))
        await self.replaced(self.key(index), entries.encode(entry))
        await self.linked()

    async def linked(self) -> None:
        digest = entries.digest((await self.store.get(self.chain.genesis)).body)
        for key in [stat.key async for stat in self.store.list(self.chain.prefix)]:
            if key == self.chain.genesis:
                continue
            body = (await self.store.get(key)).body
            found = entries.decode_slot(body, key)
            if found.previous != digest:
                body = entries.encode(replace(found, previous=digest))
                await self.replaced(key, body)
            digest = entries.digest(body)

    async def stored_anew(self, index: int, stored: StoredObject, lines: list[bytes], **says: Any) -> None:
        """Puts other lines in an object's place, truly sealed, and has its entry say so but for `says`."""
        unit_key = await self.keys.unit_key(unit_of(stored), create=False)
        body = Packer(Compression.ZSTD, 1).pack(b"".join(line + b"\n" for line in lines))
        sealed = unit_key.seal(body, stored.key)
        await self.replaced(stored.key, sealed.body, sealed.metadata)
        true = {
            "records": len(lines),
            "plain_bytes": sum(len(line) + 1 for line in lines),
            "stored_bytes": len(sealed.body),
            "sha256": entries.digest(sealed.body),
        }
        await self.said(index, stored, **(true | says))

    async def said(self, index: int, stored: StoredObject, **says: Any) -> None:
        """Has the entry say other things of an object."""
        new = replace(stored, **says)
        await self.forged(
            index,
            lambda entry: replace(
                entry, objects=tuple(new if each.key == stored.key else each for each in entry.objects)
            ),
        )

    async def audited(self, *, deep: bool = True, **more: Any) -> Report:
        keys = Keystore([self.store], ROOTS, life=3600)  # an auditor remembers nothing
        return await Verifier(
            self.store,
            self.store,
            retry(),
            keystore=keys.replicas,
            opening=Opening(keys, ROOTS.fingerprints) if deep else None,
            **more,
        ).run()

    async def closed(self, closing: Closing) -> Head:
        """Ends the chain; the head of the next one."""
        body = entries.encode(closing)
        await self.store.put(self.chain.entry(closing.first), body)
        genesis = entries.encode(entries.opening(closing, entries.digest(body)))
        await self.store.put(closing.opens_chain.genesis, genesis)
        return after_genesis(closing.opens_chain, genesis)


async def archived(store: Any) -> Archive:
    keys = Keystore([store], ROOTS, life=3600)
    await fleet.enroll(store, fleet.of(ROOTS.fingerprints, "a-cluster", "a-group"), retry())
    books = open_books(store, Unheard(), prefix="", retry=retry())
    by = By("ops", "bastion", "a test", NOW)
    for key, (workspace, source) in OWNERS.items():
        sources = (Source(id=source, type=SourceType.SERVER),)
        await set_workspace(books, workspace, lambda w, sources=sources: replace(w, sources=sources), by)  # type: ignore[misc]  # bound early
        await add_key(books, key, workspace, source, by)
    archive = Archive(store, keys, [await _opened(store)], books)
    for _ in range(ENTRIES):
        await flushed(archive, archive.heads)
    return archive


async def _opened(store: Any) -> Head:
    chain = log_id().chain(1)
    genesis = Genesis(**chain._asdict(), first=0, attempt="0" * 16, writer=WRITER, created_at=NOW)
    body = entries.encode(genesis)
    stored = await append(store, chain.genesis, body, ours=lambda winner: winner == body, retry=retry())
    return after_genesis(chain, stored.body)


async def flushed(archive: Archive, heads: list[Head], values: Sequence[bytes] = VALUES) -> None:
    """One more entry behind the last of `heads`, of these records and a gap, by the worker's own code."""
    head = heads[-1]
    policy = policy_of(
        [key_record(key, workspace=of[0], source=of[1]) for key, of in OWNERS.items()],
        [
            workspace_record(workspace, sources=[Source(id=source, type=SourceType.SERVER)])
            for workspace, source in OWNERS.values()
        ],
    )
    batch = Batch(head.next)
    offsets = itertools.count(head.next)
    records = [Record(value, next(offsets)) for value in values]
    Sorter(policy).sort(runs_of(records), now=NOW, into=batch.sorting)
    batch.extend(head.next + len(values) + 1, len(records), uptime=0.0, oldest=NOW)
    flusher = Flusher(
        data=archive.store,
        ledger=archive.store,
        keys=archive.keys,
        packer=Packer(Compression.ZSTD, 1),
        writer=WRITER,
        retry=retry(),
        threads=ThreadPoolExecutor(1),
        uploads=Uploads(4),
        now=lambda: NOW,
    )
    heads.append((await flusher.flush(head.chain, batch, done(head))).head)
