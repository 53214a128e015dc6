"""Faults in objects and what is inside them, in the rows of their keys, and in fleet.json."""

from msgspec.structs import replace

from tests.unit.intake.making import envelope
from tests.unit.ledger.audited import OFFSETS, Archive
from tests.unit.ledger.planting import DEEP, SHALLOW, of
from workers.intake.dispositions import Disposition
from workers.ledger import entries
from workers.ledger.verify_objects import unit_of
from workers.sealing.rows import unit_row


@of(SHALLOW, "missing_object")
async def object_missing(at: Archive) -> None:
    await at.store.delete([(await at.object(1)).key])


@of(SHALLOW, "object_digest")
async def object_overwritten(at: Archive) -> None:
    key = (await at.object(1)).key
    got = await at.store.get(key)
    await at.replaced(key, got.body[:-1] + bytes([got.body[-1] ^ 1]), got.metadata)


@of(SHALLOW, "object_size")
async def object_truncated(at: Archive) -> None:
    key = (await at.object(1)).key
    got = await at.store.get(key)
    await at.replaced(key, got.body[:-1], got.metadata)


@of(SHALLOW, "object_size")
async def object_grown(at: Archive) -> None:
    key = (await at.object(1)).key
    got = await at.store.get(key)
    await at.replaced(key, got.body + b"x", got.metadata)


@of(SHALLOW, "foreign_seal")
async def objects_swapped(at: Archive) -> None:
    keys = [(await at.object(index)).key for index in (0, 1)]
    one, other = [await at.store.get(key) for key in keys]
    await at.replaced(keys[0], other.body, other.metadata)
    await at.replaced(keys[1], one.body, one.metadata)


@of(SHALLOW, "no_seal")
async def object_without_a_seal(at: Archive) -> None:
    key = (await at.object(1)).key
    await at.replaced(key, (await at.store.get(key)).body)


@of(SHALLOW, "misplaced_object")
async def object_said_to_be_of_another_workspace(at: Archive) -> None:
    await at.said(1, await at.object(1), workspace="beta", source="site")


@of(SHALLOW, "misplaced_object")
async def object_said_to_be_of_another_day(at: Archive) -> None:
    await at.said(1, await at.object(1), day="2026-11-27")


@of(SHALLOW, "listed_twice")
async def object_listed_by_two_entries(at: Archive) -> None:
    stored = await at.object(0)
    await at.forged(
        1,
        lambda entry: replace(entry, objects=(*[o for o in entry.objects if o.workspace != "acme"], stored)),
    )


@of(SHALLOW, "listed_twice", "miscount")
async def object_listed_twice_by_one_entry(at: Archive) -> None:
    stored = await at.object(1)
    await at.forged(1, lambda entry: replace(entry, objects=(*entry.objects, stored)))


@of(SHALLOW, "wrong_generation")
async def generation_forged(at: Archive) -> None:
    await at.said(1, await at.object(1), key_generation=7)


@of(SHALLOW, "strange_key")
async def stranger_in_the_data(at: Archive) -> None:
    await at.store.put("data/ws=acme/src=shop/day=2026-11-26/accepted/mine.csv", b"x")


@of(SHALLOW, "missing_chain")
async def ledger_of_a_chain_deleted(at: Archive) -> None:
    await at.store.delete([stat.key async for stat in at.store.list(at.chain.prefix)])


@of(SHALLOW, "missing_key")
async def key_row_missing(at: Archive) -> None:
    await at.store.delete([await _row(at)])


@of(SHALLOW, "broken_key")
async def key_row_nonsense(at: Archive) -> None:
    await at.replaced(await _row(at), b"{}")


@of(SHALLOW, "missing_fleet")
async def fleet_missing(at: Archive) -> None:
    await at.store.delete(["fleet.json"])


@of(SHALLOW, "broken_fleet")
async def fleet_nonsense(at: Archive) -> None:
    await at.replaced("fleet.json", b"no")


@of(DEEP, "wrong_workspace")
async def record_under_the_wrong_workspace(at: Archive) -> None:
    lines = [*[envelope("key-acme")] * 3, envelope("key-beta")]
    await at.stored_anew(1, await at.object(1), lines)


@of(DEEP, "unknown_write_key")
async def record_of_a_key_that_nobody_has(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [envelope("key-acme")] * 3 + [envelope("key-nobody")])


@of(DEEP, "line_count")
async def record_less_than_said(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [envelope("key-acme")] * 3, records=4)


@of(DEEP, "line_count")
async def record_more_than_said(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [envelope("key-acme")] * 5, records=4)


@of(DEEP, "plain_bytes")
async def bytes_more_than_said(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [envelope("key-acme")] * 4, plain_bytes=9)


@of(DEEP, "plain_bytes")
async def bytes_fewer_than_said(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [envelope("key-acme")] * 4, plain_bytes=9_999)


@of(DEEP, "not_an_envelope")
async def line_that_is_no_envelope(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1), [*[envelope("key-acme")] * 3, b'{"v":1}'])


@of(DEEP, "dead_letter")
async def dead_letter_of_another_entry(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1, "dead-lettered"), [_letter(3)])


@of(DEEP, "dead_letter")
async def dead_letter_of_another_reason(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1, "dead-lettered"), [_letter(OFFSETS, "too_long")])


@of(DEEP, "dead_letter", "miscount")
async def dead_letter_twice(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1, "dead-lettered"), [_letter(OFFSETS + 6)] * 2)


@of(DEEP, "dead_letter")
async def dead_letter_twice_and_counted_so(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1, "dead-lettered"), [_letter(OFFSETS + 6)] * 2)
    await at.forged(
        1,
        lambda entry: replace(
            entry, counts={**entry.counts, Disposition.DEAD_LETTERED: {"not_json": 2}}, gaps=0
        ),
    )


@of(DEEP, "not_an_envelope")
async def dead_letter_that_is_none(at: Archive) -> None:
    await at.stored_anew(1, await at.object(1, "dead-lettered"), [b'{"offset":9}'])


@of(DEEP, "does_not_open")
async def ciphertext_altered_and_its_digest_too(at: Archive) -> None:
    stored = await at.object(1)
    got = await at.store.get(stored.key)
    body = got.body[:-1] + bytes([got.body[-1] ^ 1])
    await at.replaced(stored.key, body, got.metadata)
    await at.said(1, stored, sha256=entries.digest(body))


@of(DEEP, "does_not_unpack")
async def object_that_holds_no_lines(at: Archive) -> None:
    stored = await at.object(1)
    key = await at.keys.unit_key(unit_of(stored), create=False)
    sealed = key.seal(b"not compressed", stored.key)
    await at.replaced(stored.key, sealed.body, sealed.metadata)
    await at.said(1, stored, sha256=entries.digest(sealed.body), stored_bytes=len(sealed.body))


async def _row(at: Archive) -> str:
    return unit_row(unit_of(await at.object(1)))


def _letter(offset: int, reason: str = "not_json") -> bytes:
    return b'{"offset":%d,"reason":"%s","bytes":"Z2FyYmFnZQ=="}' % (offset, reason.encode())
