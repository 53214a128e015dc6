"""The changes of policy that people ask for: to register, rotate and end write keys, to set up workspaces.

Each may be repeated: what stands is left alone, what an earlier try left unpublished is published.
"""

import secrets
import string
from collections.abc import Callable, Collection
from hashlib import sha256
from typing import NamedTuple

import msgspec

from topics.ids import checked_customer_id
from topics.origin_verdicts import OriginVerdict
from topics.workspaces import Workspace, WorkspaceState
from topics.write_keys import KeyState, WriteKey, checked_key
from workers.by import By
from workers.errors import Poison
from workers.intake import key_states
from workers.intake.key_states import Refused
from workers.ledger import workspace_terms
from workers.ledger.policy_book import PolicyBook, Publisher
from workers.ledger.policy_kinds import ORIGIN_VERDICTS, WORKSPACES, WRITE_KEYS
from workers.ledger.verdict_commands import carry_verdicts
from workers.store.port import Store
from workers.store.retry import Retry

KEY_LENGTH = 32  # as Segment's
LETTERS = string.ascii_letters + string.digits


KeyEdit = Callable[[WriteKey | None], WriteKey | None]


class Books(NamedTuple):
    keys: PolicyBook[WriteKey]
    workspaces: PolicyBook[Workspace]
    verdicts: PolicyBook[OriginVerdict]


class Rotated(NamedTuple):
    old: WriteKey
    new: WriteKey


def open_books(store: Store, publisher: Publisher, *, prefix: str, retry: Retry) -> Books:
    """`store` is the ledger's bucket, `prefix` the fleet's topic prefix."""
    return Books(
        PolicyBook(store, WRITE_KEYS, publisher, prefix=prefix, retry=retry),
        PolicyBook(store, WORKSPACES, publisher, prefix=prefix, retry=retry),
        PolicyBook(store, ORIGIN_VERDICTS, publisher, prefix=prefix, retry=retry),
    )


def new_key() -> str:
    """A fresh write key. It is public, so it need not be secret: only nobody else's."""
    return "".join(secrets.choice(LETTERS) for _ in range(KEY_LENGTH))


async def add_key(books: Books, key: str, workspace: str, source: str, by: By) -> WriteKey:
    """Registers `key` as active for a source that the workspace has. Raises Refused."""
    await _check_source(books, workspace, source)
    return (await books.keys.change({checked_key(key): _registration(key, workspace, source, by)}, by))[key]


async def rotate_key(books: Books, old: str, new: str | None, overlap_ms: int, by: By) -> Rotated:
    """Makes `new` active for the source of `old`, then lets `old` end after the overlap. Raises Refused.

    Without `new` it is a fresh key, and the same one again where a rotation of `old` died half-way. Verdicts
    on hosts that send with `old` hold for `new` too, before it is active.
    """
    new = await _successor(books, old) if new is None else checked_key(new)
    if old == new:
        raise Poison(
            f"write key {old} can't be rotated to itself", remedy="Leave --new out to get a fresh key"
        )
    if overlap_ms < 0:
        raise Poison("an overlap can't be negative", remedy="Give a duration, as 7d")
    retirement = _retirement(old, new, by.now + overlap_ms, by)
    standing = await books.keys.chain.get(checked_key(old))
    # refused before there is a new key, where it can be
    if standing is None or retirement(standing) is not None:
        standing = key_states.leaving(standing, old, KeyState.RETIRING)
    await carry_verdicts(books.verdicts, old, new, by)
    registration = _registration(new, standing.workspace, standing.source, by)
    added = (await books.keys.change({new: registration}, by))[new]
    try:
        retired = (await books.keys.change({old: retirement}, by))[old]
    except Refused as refusal:
        raise Refused(
            f"{refusal.message}; {new} is registered already, and active",
            remedy=f"{refusal.remedy}. Of {new}: use it, or revoke it too",
        ) from None
    return Rotated(retired, added)


async def revoke_key(books: Books, key: str, by: By) -> WriteKey:
    """Stops `key` at once, for ever."""
    return await _end_key(books, key, KeyState.REVOKED, by)


async def abuse_key(books: Books, key: str, by: By) -> WriteKey:
    """Stops `key` at once, for ever, and has what still arrives counted as abuse."""
    return await _end_key(books, key, KeyState.ABUSED, by)


async def set_workspace(
    books: Books,
    workspace: str,
    edit: Callable[[Workspace], Workspace],
    by: By,
    plans: Collection[str] = (),
) -> Workspace:
    """Makes a workspace, or changes it; `edit` says what is wanted, from what stands or a fresh one.

    As every edit it is pure, and may be called again. `plans` are those that may have a retention, all where
    none is named. Raises Poison and Refused (workspace_terms.py).
    """
    new = workspace_terms.fresh(workspace)

    def decide(before: Workspace | None) -> Workspace | None:
        return workspace_terms.decided(before, edit(before or new), now=by.now, plans=plans)

    return (await books.workspaces.change({workspace: decide}, by))[workspace]


async def _successor(books: Books, old: str) -> str:
    """The key to rotate `old` to. One of its own for the entry that `old` stands by, until `old` is retired.

    Nobody can know it before who can't read the bucket: the entry has a random part that no topic carries.
    """
    chain = books.keys.chain
    standing = await chain.get(checked_key(old))
    if standing is None:
        return new_key()  # to be refused
    entry = await chain.shards.body(standing.shard, standing.seq)
    number = int.from_bytes(sha256(b"\0".join((b"rotated", old.encode(), entry))).digest())
    new = ""
    for _ in range(KEY_LENGTH):
        number, letter = divmod(number, len(LETTERS))
        new += LETTERS[letter]
    taken = await chain.get(new)
    return new if taken is None or taken.state is KeyState.ACTIVE else new_key()


async def _check_source(books: Books, workspace: str, source: str) -> None:
    checked_customer_id("workspace", workspace)
    checked_customer_id("source", source)
    standing = await books.workspaces.chain.get(workspace)
    setting = f"`strongroom workspaces set {workspace} --source {source}:browser`"
    if standing is None:
        raise Refused(f"there is no workspace {workspace}", remedy=f"Set it up: {setting}")
    if standing.state is WorkspaceState.CLOSED:
        raise Refused(f"workspace {workspace} is closed", remedy="Open it first: --state open")
    if standing.source(source) is None:
        known = ", ".join(known.id for known in standing.sources) or "none"
        raise Refused(
            f"workspace {workspace} has no source {source}; it has {known}", remedy=f"Add it: {setting}"
        )


async def _end_key(books: Books, key: str, state: KeyState, by: By) -> WriteKey:
    if not by.why.strip():
        raise Poison(
            f"a key can't become {state} without a reason", remedy="Give --reason: it is kept for ever"
        )

    def edit(before: WriteKey | None) -> WriteKey | None:
        if before is not None and before.state is state:
            return None
        standing = key_states.leaving(before, key, state)
        return msgspec.structs.replace(standing, state=state, until=None, reason=by.why)

    return (await books.keys.change({checked_key(key): edit}, by))[key]


def _registration(key: str, workspace: str, source: str, by: By) -> KeyEdit:
    wanted = WriteKey(
        key=key,
        workspace=workspace,
        source=source,
        state=KeyState.ACTIVE,
        reason=by.why,
        changed_at=by.now,
        shard=0,
        seq=0,
    )

    def edit(before: WriteKey | None) -> WriteKey | None:
        place = (before.state, before.workspace, before.source) if before else None
        return None if place == (wanted.state, workspace, source) else wanted

    return edit


def _retirement(old: str, new: str, until: int, by: By) -> KeyEdit:
    reason = f"rotated to {new}" + (f": {by.why}" if by.why else "")

    def edit(before: WriteKey | None) -> WriteKey | None:
        if before is not None and before.state is KeyState.RETIRING and before.reason == reason:
            return None
        standing = key_states.leaving(before, old, KeyState.RETIRING)
        return msgspec.structs.replace(standing, state=KeyState.RETIRING, until=until, reason=reason)

    return edit
