"""Faults in policy chains, and what the versions of a bucket tell."""

from typing import Any

import msgspec
from msgspec.structs import replace

from tests.unit.intake.making import NOW
from tests.unit.ledger.audited import OFFSETS, Archive
from tests.unit.ledger.planting import SHALLOW, VERSIONED, of
from tests.unit.ledger.world import GROUP
from topics import origin_verdicts
from topics.origin_verdicts import VerdictKind, subject
from topics.write_keys import KeyState
from workers.by import By
from workers.ledger import policy_entries
from workers.ledger.policy_entries import PolicyEntry
from workers.ledger.verdict_commands import confirm_verdicts

BY = By("ops", "bastion", "a test", NOW + 1)


@of(SHALLOW, "policy_hole")
async def policy_entry_missing(at: Archive) -> None:
    _, entry = await _policy(at)
    await at.store.put(
        policy_entries.entry_name(entry.topic, entry.shard, 3),
        policy_entries.encode(replace(entry, seq=3, previous="0" * 64)),
    )


@of(SHALLOW, "broken_policy_link")
async def policy_fork(at: Archive) -> None:
    await at.books.keys.change({"key-acme": _retired}, BY)
    _, entry = await _policy(at)
    key = policy_entries.entry_name(entry.topic, entry.shard, 2)
    second = msgspec.json.decode((await at.store.get(key)).body, type=PolicyEntry)
    await at.replaced(key, policy_entries.encode(replace(second, previous=None)))


@of(SHALLOW, "broken_policy")
async def policy_nonsense(at: Archive) -> None:
    await at.replaced((await _policy(at))[0], b"[]")


@of(SHALLOW, "forged_policy")
async def policy_change_from_what_never_stood(at: Archive) -> None:
    key, entry = await _policy(at)
    change = replace(entry.changes[0], before=entry.changes[0].after)
    await at.replaced(key, policy_entries.encode(replace(entry, changes=(change,))))


@of(SHALLOW, "forged_policy")
async def judge_put_in_the_place_of_the_customer(at: Archive) -> None:
    """A writer with the right to append, and no regard for the table."""
    host = "copy.example"
    await confirm_verdicts(at.books.verdicts, "acme", ["key-acme"], host, VerdictKind.BENIGN, BY)
    name = subject("key-acme", host)
    shard = policy_entries.shard_of(name)
    body = (await at.store.get(policy_entries.entry_name("origin-verdicts", shard, 1))).body
    first = policy_entries.decode_entry(body, "origin-verdicts", shard, 1)
    approved = origin_verdicts.codec.decode(bytes(first.changes[0].after))
    copy = replace(approved, kind=VerdictKind.COPY, confirmed=False, seq=2)
    change = replace(
        first.changes[0],
        before=first.changes[0].after,
        after=msgspec.Raw(origin_verdicts.codec.encode(copy)),
    )
    forged = replace(first, seq=2, previous=policy_entries.digest(body), changes=(change,))
    await at.store.put(policy_entries.entry_name("origin-verdicts", shard, 2), policy_entries.encode(forged))


@of(VERSIONED, "overwritten_entry")
async def entry_overwritten_with_itself(at: Archive) -> None:
    await at.store.put(at.key(1), (await at.store.get(at.key(1))).body)


@of(VERSIONED, "deleted_entry")
async def newest_entry_deleted(at: Archive) -> None:
    """Without versions nothing would tell that the tail was cut."""
    await at.store.delete([at.key(-1)])


@of(VERSIONED, "deleted_entry", "overwritten_entry")
async def entry_deleted_and_put_again(at: Archive) -> None:
    await at.replaced(at.key(1), (await at.store.get(at.key(1))).body)


@of(VERSIONED, "overwritten_object")
async def object_overwritten_with_itself(at: Archive) -> None:
    key = (await at.object(1)).key
    got = await at.store.get(key)
    await at.store.put(key, got.body, metadata=got.metadata)


@of(VERSIONED, "overwritten_object")
async def object_deleted_and_put_again(at: Archive) -> None:
    key = (await at.object(1)).key
    got = await at.store.get(key)
    await at.store.delete([key])
    await at.store.put(key, got.body, metadata=got.metadata)


@of(VERSIONED, "overwritten_object")
async def orphan_overwritten(at: Archive) -> None:
    for body in (b"x", b"y"):
        await at.store.put(at.chain.data(GROUP, 0, OFFSETS, "f" * 16), body)


@of(VERSIONED, "overwritten_entry")
async def policy_overwritten(at: Archive) -> None:
    key, _ = await _policy(at)
    await at.store.put(key, (await at.store.get(key)).body)


@of(VERSIONED, "deleted_entry", "unknown_write_key")
async def policy_deleted(at: Archive) -> None:
    await at.store.delete([(await _policy(at))[0]])


async def _policy(at: Archive) -> tuple[str, PolicyEntry]:
    """The first entry of the shard of acme's write key."""
    key = policy_entries.entry_name("write-keys", policy_entries.shard_of("key-acme"), 1)
    return key, msgspec.json.decode((await at.store.get(key)).body, type=PolicyEntry)


def _retired(standing: Any) -> Any:
    return replace(standing, state=KeyState.REVOKED, until=None)
