"""The archive of audited.py, of which records were replayed, compacted, discarded and disposed of since."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.unit.intake.making import NOW, TODAY, envelope
from tests.unit.ledger.audited import Archive, archived, flushed
from tests.unit.ledger.units import draft, group_in
from tests.unit.ledger.world import retry
from workers.by import By
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock
from workers.ledger import unit_entries as entries
from workers.ledger.entries import StoredObject, digest
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import unit_entry, unit_output, unit_prefix
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import add_key
from workers.ledger.unit_chain import UnitHead, append, head
from workers.ledger.unit_entries import Became, Kind, UnitEntry
from workers.sealing.keys import Unit

ACME = Unit("acme", "shop", TODAY, Clock.MAIN)
BETA = Unit("beta", "site", TODAY, Clock.MAIN)
NOBODYS = Unit(PLATFORM, UNCLAIMED, TODAY, Clock.UNCLAIMED)
LATE, ACMES, BETAS = envelope("key-late"), envelope("key-acme"), envelope("key-beta")
ATTEMPT = "a" * 16
# what was consumed, and what it became
CONSUMED = {"accepted": 2 + 8, "discarded": 2, "disposed": 4 + 1}
GONE = 4  # objects
OBJECTS = 3 * 4 + 1 + 2 - GONE

Consumption = Sequence[tuple[str, Ranges | None, int]]


class Chained(NamedTuple):
    at: Archive

    @property
    def store(self) -> Any:
        return self.at.store

    async def head(self, unit: Unit) -> UnitHead:
        return await head(self.store, unit, retry())

    async def entry(self, unit: Unit, seq: int) -> UnitEntry:
        return entries.decode((await self.store.get(unit_entry(unit, seq))).body, unit, seq)

    async def output(self, unit: Unit, seq: int) -> StoredObject:
        """The one that the entry lists."""
        return (await self.entry(unit, seq)).outputs[0]

    async def sealed(
        self, into: Unit, consumer: Unit, seq: int, lines: Sequence[bytes], attempt: str = ATTEMPT
    ) -> StoredObject:
        """Puts an output, as a consumer does before its entry."""
        group = group_in(into)
        key = unit_output(group, consumer, seq, 0, attempt)
        plain = b"".join(line + b"\n" for line in lines)
        unit_key = await self.at.keys.unit_key(into, create=True)
        sealed = unit_key.seal(Packer(Compression.ZSTD, 1).pack(plain), key)
        await self.store.put(key, sealed.body, metadata=sealed.metadata)
        return StoredObject(
            key=key,
            **group._asdict(),
            records=len(lines),
            plain_bytes=len(plain),
            stored_bytes=len(sealed.body),
            sha256=digest(sealed.body),
            key_generation=unit_key.generation,
        )

    async def consumed(
        self, unit: Unit, kind: Kind, consumed: Consumption, became: Became, *outputs: StoredObject
    ) -> None:
        """One more entry, by the product's own code."""
        number = sum(count for _, _, count in consumed)
        plan = draft(kind, consumed, {became: number} if number else {}, outputs, ATTEMPT)
        await append(self.store, await self.head(unit), plan, retry())

    async def forged(self, unit: Unit, seq: int, change: Callable[[UnitEntry], UnitEntry]) -> None:
        """Changes an entry, and links all behind it anew."""
        entry = change(await self.entry(unit, seq))
        await self.at.replaced(unit_entry(unit, seq), entries.encode(entry))
        await self.linked(unit)

    async def added(self, unit: Unit, like: int, **says: Any) -> None:
        """One more entry than there are, as a forger puts it: like that one but for what it says."""
        newest = await self.head(unit)
        entry = await self.entry(unit, like)
        entry = replace(entry, **({"seq": newest.seq + 1, "previous": newest.digest} | says))
        await self.store.put(unit_entry(unit, newest.seq + 1), entries.encode(entry))

    async def linked(self, unit: Unit) -> None:
        before: str | None = None
        for key in [stat.key async for stat in self.store.list(unit_prefix(unit))]:
            body = (await self.store.get(key)).body
            entry = entries.decode(body, unit, int(key[-13:-5]))
            if entry.previous != before:
                body = entries.encode(replace(entry, previous=before))
                await self.at.replaced(key, body)
            before = digest(body)


async def chained(store: Any) -> Chained:
    """Each object of acme and of nobody in another state: whole, partly consumed, consumed and gone."""
    archive = await archived(store)
    await flushed(archive, archive.heads, [LATE] * 3)
    await add_key(archive.books, "key-late", "acme", "shop", By("ops", "bastion", "a test", NOW))
    made = Chained(archive)
    unclaimed = (await archive.entry(-1)).objects[0]
    acme = [await archive.object(index) for index in range(4)]
    beta = await archive.object(0, workspace="beta")

    replayed = await made.sealed(ACME, NOBODYS, 1, [LATE] * 2)
    await made.consumed(NOBODYS, Kind.REPLAY, [(unclaimed.key, ((0, 1),), 2)], Became.ACCEPTED, replayed)
    compacted = await made.sealed(ACME, ACME, 1, [ACMES] * 6 + [LATE] * 2)
    inputs: Consumption = [(acme[0].key, None, 4), (acme[1].key, ((1, 2),), 2), (replayed.key, None, 2)]
    await made.consumed(ACME, Kind.COMPACT, inputs, Became.ACCEPTED, compacted)
    await made.consumed(ACME, Kind.DISPOSE, [(acme[2].key, None, 4)], Became.DISPOSED)
    await made.consumed(BETA, Kind.DISCARD, [(beta.key, None, 2)], Became.DISCARDED)
    await made.consumed(NOBODYS, Kind.DISPOSE, [(unclaimed.key, None, 1)], Became.DISPOSED)
    await store.delete([acme[0].key, acme[2].key, replayed.key, unclaimed.key])
    return made
