"""A manifest lists what the ledger says is archived of a workspace: all of it, in order, nobody else's."""

import gc
import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.unit.intake.making import TODAY
from tests.unit.ledger.audited import ENTRIES, Archive, archived, flushed
from tests.unit.ledger.world import TOPIC_ID, WRITER, closing_of, retry
from workers.errors import Fatal
from workers.intake.dispositions import STORED, Clock, Disposition, Group
from workers.ledger import entries
from workers.ledger.entries import AsFound, Entry, Genesis, Opens, StoredObject
from workers.ledger.manifest import Listed, manifest
from workers.ledger.names import ChainId
from workers.ledger.shown import Selection
from workers.sealing.keys import SUITE_PAIR
from workers.store.memory import MemoryStore

ACME = Selection("acme")


async def listed(store: MemoryStore, selection: Selection = ACME) -> list[Listed]:
    return [line async for line in manifest(store, selection, retry())]


async def objects(archive: Archive, indexes: Sequence[int] = range(ENTRIES)) -> list[StoredObject]:
    """All workspaces' of those entries."""
    return [stored for index in indexes for stored in (await archive.entry(index)).objects]


async def test_every_object_of_a_workspace_is_listed_and_no_others() -> None:
    archive = await archived(MemoryStore())
    stored = await objects(archive)
    assert {each.workspace for each in stored} == {"acme", "beta", "_platform"}
    for workspace in ("acme", "beta", "_platform"):
        expected = [each for each in stored if each.workspace == workspace]
        found = await listed(archive.store, Selection(workspace))
        assert len(found) == ENTRIES
        names = [name for name in Listed.__struct_fields__ if name not in ("context", "live")]
        assert [[getattr(line, name) for name in names] for line in found] == [
            [getattr(each, name) for name in names] for each in expected
        ]
    assert await listed(archive.store, Selection("acm")) == []


async def test_the_context_is_the_one_that_was_sealed_without_the_suite() -> None:
    archive = await archived(MemoryStore())
    for workspace in ("acme", "_platform"):
        for line in await listed(archive.store, Selection(workspace)):
            metadata = (await archive.store.get(line.key)).metadata
            sealed = json.loads(metadata["x-amz-t"])
            assert sealed.pop(SUITE_PAIR[0]) == SUITE_PAIR[1]
            assert line.context == sealed


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection("acme", source="shop"), ENTRIES),
        (Selection("acme", source="site"), 0),
        (Selection("acme", day=TODAY), ENTRIES),
        (Selection("acme", day="2026-11-27"), 0),
        (Selection("acme", dispositions=frozenset({Disposition.FLAGGED})), 0),
        (Selection("acme", dispositions=STORED), ENTRIES),
        (Selection("_platform", dispositions=frozenset({Disposition.DEAD_LETTERED})), ENTRIES),
    ],
)
async def test_it_is_narrowed(selection: Selection, count: int) -> None:
    archive = await archived(MemoryStore())
    assert len(await listed(archive.store, selection)) == count


async def test_behind_a_closing_the_next_chain_is_listed() -> None:
    archive = await archived(MemoryStore())
    newest = archive.heads[-1]
    before = await listed(archive.store)
    heads = [await archive.closed(closing_of(newest, Opens(archive.chain.topic_id, 2, newest.next + 10)))]
    await flushed(archive, heads)
    after = await listed(archive.store)
    assert after[:-1] == before
    assert f".2-00000-{newest.next + 10:020d}-" in after[-1].key


async def test_entries_that_a_closing_gave_up_are_not_listed() -> None:
    archive = await archived(MemoryStore())
    newest = archive.heads[-1]
    kept = [stored.key for stored in await objects(archive, [0, 2, 3]) if stored.workspace == "acme"]
    await archive.replaced(archive.key(1), b"eaten by moths")
    with pytest.raises(Fatal, match=archive.key(1)):
        await listed(archive.store)
    broken = AsFound(archive.key(1).rpartition("/")[2], entries.digest(b"eaten by moths"))
    await archive.closed(closing_of(newest, Opens(archive.chain.topic_id, 2, newest.next), broken=(broken,)))
    assert [line.key for line in await listed(archive.store)] == kept


async def test_what_was_written_behind_a_closing_is_not_listed() -> None:
    archive = await archived(MemoryStore())
    before = await listed(archive.store)
    newest = archive.heads[-1]
    late = list(archive.heads)
    await flushed(archive, late)
    body = (await archive.store.get(archive.chain.entry(newest.next))).body
    closing = closing_of(newest, Opens(archive.chain.topic_id, 2, newest.next))
    await archive.replaced(archive.chain.entry(newest.next), entries.encode(closing))
    await archive.store.put(archive.chain.entry(late[-1].next), body)
    assert await listed(archive.store) == before


@pytest.mark.parametrize(
    "says",
    [
        {"key": "data/ws=beta/src=site/day=2026-11-26/accepted/x.ndjson.zst"},
        {"workspace": "acme", "source": "site"},
        {"clock": "whenever"},
    ],
)
async def test_an_entry_that_calls_another_workspaces_object_its_own_is_refused(says: dict[str, str]) -> None:
    archive = await archived(MemoryStore())
    owner = "beta" if "workspace" in says else "acme"
    await archive.said(1, await archive.object(1, workspace=owner), **says)
    with pytest.raises(Fatal, match="as an object of acme") as refused:
        await listed(archive.store)
    assert archive.key(1) in refused.value.message
    assert "strongroom verify" in refused.value.remedy


# -- 100,000 objects --------------------------------------------------------------------------------

LONG, WIDE = 100, 1_000  # entries, and objects in each
CHAIN = ChainId("raw-events", TOPIC_ID, 1, 0)


def _wide_entry(first: int, previous: str) -> bytes:
    attempt = f"{first:016x}"
    groups = [
        Group("acme", f"source-{number}", TODAY, Disposition.ACCEPTED, Clock.MAIN) for number in range(WIDE)
    ]
    stored = StoredObject(
        key="",
        workspace="acme",
        source="",
        day=TODAY,
        disposition=Disposition.ACCEPTED,
        clock="main",
        records=1,
        plain_bytes=1,
        stored_bytes=1,
        sha256="0" * 64,
        key_generation=1,
    )
    return entries.encode(
        Entry(
            **CHAIN._asdict(),
            first=first,
            next=first + WIDE,
            previous=previous,
            anchor=None,
            attempt=attempt,
            writer=WRITER,
            committed_at=1,
            policy={},
            counts={Disposition.ACCEPTED: {"accepted": WIDE}},
            gaps=0,
            objects=tuple(
                replace(stored, key=CHAIN.data(group, first, first + WIDE, attempt), source=group.source)
                for group in groups
            ),
        )
    )


def _live_entries() -> int:
    return sum(type(found) is Entry for found in gc.get_objects())


async def test_a_hundred_thousand_objects_are_listed_an_entry_at_a_time() -> None:
    store = MemoryStore()
    body = entries.encode(Genesis(**CHAIN._asdict(), first=0, attempt="0" * 16, writer=WRITER, created_at=1))
    await store.put(CHAIN.genesis, body)
    for number in range(LONG):
        body = _wide_entry(number * WIDE, entries.digest(body))
        await store.put(CHAIN.entry(number * WIDE), body)
    searched = count = 0
    async for line in manifest(store, ACME, retry()):
        if count == 0:
            searched = store.requests["get"]
        assert line.source == f"source-{count % WIDE}"
        if count % WIDE == 0:
            assert store.requests["get"] == searched + count // WIDE  # nothing was read ahead
        if count % (30 * WIDE) == 0:
            assert _live_entries() <= 2  # what was listed is not kept
        count += 1
    assert count == LONG * WIDE
