"""Faults in a chain: its genesis, its entries, its closing."""

from msgspec.structs import replace

from tests.unit.ledger.audited import Archive
from tests.unit.ledger.planting import SHALLOW, of
from tests.unit.ledger.world import closing_of
from workers.intake.dispositions import Disposition
from workers.ledger import entries
from workers.ledger.entries import Genesis, Opens, Writer

ACCEPTED = Disposition.ACCEPTED


@of(SHALLOW, "missing_genesis")
async def genesis_missing(at: Archive) -> None:
    await at.store.delete([at.chain.genesis])


@of(SHALLOW, "broken_genesis")
async def genesis_nonsense(at: Archive) -> None:
    await at.replaced(at.chain.genesis, b"{}")
    await at.linked()


@of(SHALLOW, "broken_genesis")
async def genesis_of_another_chain(at: Archive) -> None:
    genesis = entries.decode(Genesis, (await at.store.get(at.chain.genesis)).body, "")
    await at.replaced(at.chain.genesis, entries.encode(replace(genesis, partition=7)))
    await at.linked()


@of(SHALLOW, "gap")
async def first_entry_missing(at: Archive) -> None:
    await at.store.delete([at.key(0)])
    await at.linked()


@of(SHALLOW, "gap")
async def entry_missing_in_the_middle(at: Archive) -> None:
    """Its objects become what no entry lists."""
    await at.store.delete([at.key(1)])
    await at.linked()


@of(SHALLOW, "broken_entry")
async def entry_no_json(at: Archive) -> None:
    await at.replaced(at.key(-1), b"\xff")


@of(SHALLOW, "broken_entry")
async def entry_truncated(at: Archive) -> None:
    body = (await at.store.get(at.key(-1))).body
    await at.replaced(at.key(-1), body[:-20])


@of(SHALLOW, "broken_entry")
async def entry_empty(at: Archive) -> None:
    await at.replaced(at.key(-1), b"")


@of(SHALLOW, "broken_entry")
async def entry_ends_where_it_begins(at: Archive) -> None:
    await at.forged(-1, lambda entry: replace(entry, next=entry.first))


@of(SHALLOW, "unknown_format")
async def entry_of_a_format_to_come(at: Archive) -> None:
    await at.replaced(at.key(-1), entries.encode(replace(await at.entry(-1), format=2)))


@of(SHALLOW, "foreign_entry")
async def entry_of_another_chain(at: Archive) -> None:
    await at.replaced(at.key(-1), entries.encode(replace(await at.entry(-1), partition=7)))


@of(SHALLOW, "foreign_entry")
async def entry_of_another_place(at: Archive) -> None:
    await at.replaced(at.key(-1), (await at.store.get(at.key(0))).body)


@of(SHALLOW, "not_canonical")
async def entry_with_more_than_it_says(at: Archive) -> None:
    body = (await at.store.get(at.key(-1))).body
    await at.replaced(at.key(-1), body[:-1] + b',"zzz":1}')


@of(SHALLOW, "overlap", "listed_twice")
async def entries_that_overlap(at: Archive) -> None:
    entry = await at.entry(-1)
    early = replace(entry, first=entry.first - 1, gaps=entry.gaps + 1)
    await at.store.put(at.chain.entry(early.first), entries.encode(early))


@of(SHALLOW, "overlap")
async def entry_reaches_into_the_next(at: Archive) -> None:
    await at.forged(1, lambda entry: replace(entry, next=entry.next + 1, gaps=entry.gaps + 1, objects=()))
    await at.forged(1, lambda entry: replace(entry, counts={}, gaps=entry.next - entry.first))


@of(SHALLOW, "fork")
async def fork(at: Archive) -> None:
    """An entry that follows the one before the one before it."""
    before = (await at.entry(-2)).previous
    await at.replaced(at.key(-1), entries.encode(replace(await at.entry(-1), previous=before)))


@of(SHALLOW, "broken_link")
async def digest_forged(at: Archive) -> None:
    await at.replaced(at.key(-1), entries.encode(replace(await at.entry(-1), previous="0" * 64)))


@of(SHALLOW, "broken_link")
async def entry_altered_in_the_middle(at: Archive) -> None:
    entry = await at.entry(1)
    await at.replaced(at.key(1), entries.encode(replace(entry, writer=Writer("nobody", "0"))))


@of(SHALLOW, "miscount")
async def count_off_by_one(at: Archive) -> None:
    await at.forged(1, lambda entry: replace(entry, gaps=entry.gaps + 1))


@of(SHALLOW, "miscount")
async def records_passed_off_as_gaps(at: Archive) -> None:
    await at.forged(
        1,
        lambda entry: replace(entry, counts={**entry.counts, ACCEPTED: {"accepted": 5}}, gaps=entry.gaps + 1),
    )


@of(SHALLOW, "miscount")
async def object_struck_off(at: Archive) -> None:
    """An entry that no longer lists one of its objects: the object is one that nobody lists."""
    await at.forged(1, lambda entry: replace(entry, objects=entry.objects[:-1]))


@of(SHALLOW, "strange_key")
async def stranger_in_the_ledger(at: Archive) -> None:
    await at.store.put("ledger/v1/notes.txt", b"hello")


@of(SHALLOW, "strange_key")
async def entry_under_a_crooked_name(at: Archive) -> None:
    await at.store.put(f"{at.chain.prefix}4.json", (await at.store.get(at.key(1))).body)


@of(SHALLOW, "unopened_incarnation")
async def incarnation_that_no_closing_opened(at: Archive) -> None:
    genesis = entries.decode(Genesis, (await at.store.get(at.chain.genesis)).body, "")
    chain = at.chain._replace(incarnation=2)
    await at.store.put(chain.genesis, entries.encode(replace(genesis, incarnation=2)))


@of(SHALLOW, "entry_after_closing")
async def entry_behind_a_closing(at: Archive) -> None:
    newest = at.heads[-1]
    await at.closed(closing_of(newest, Opens(at.chain.topic_id, 2, newest.next + 10)))
    late = replace(
        await at.entry(-1), first=newest.next + 1, next=newest.next + 2, gaps=1, counts={}, objects=()
    )
    await at.store.put(at.chain.entry(late.first), entries.encode(late))


@of(SHALLOW, "unopened_incarnation")
async def closing_forged(at: Archive) -> None:
    """Another number of lost offsets than the one from which the next chain was opened."""
    newest = at.heads[-1]
    closing = closing_of(newest, Opens(at.chain.topic_id, 2, newest.next + 10))
    await at.closed(closing)
    await at.replaced(at.chain.entry(closing.first), entries.encode(replace(closing, lost=0)))


@of(SHALLOW, "unopened_incarnation")
async def genesis_behind_a_closing_begins_later(at: Archive) -> None:
    newest = at.heads[-1]
    closing = closing_of(newest, Opens(at.chain.topic_id, 2, newest.next + 10))
    after = await at.closed(closing)
    genesis = entries.decode(Genesis, (await at.store.get(after.chain.genesis)).body, "")
    await at.replaced(after.chain.genesis, entries.encode(replace(genesis, first=genesis.first + 5)))


@of(SHALLOW, "broken_link")
async def closing_that_does_not_follow(at: Archive) -> None:
    newest = at.heads[-1]
    await at.closed(closing_of(newest, Opens(at.chain.topic_id, 2, newest.next), previous="0" * 64))
