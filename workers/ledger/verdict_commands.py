"""Verdicts on hosts: what the judge appends, and the customer's word (docs/origins.md, Verdicts).

Each may be repeated: what stands is left alone, what an earlier try left unpublished is published.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

from topics.ids import checked_customer_id
from topics.origin_verdicts import CUSTOMERS, OriginVerdict, VerdictKind, subject
from topics.write_keys import checked_key
from workers.by import By
from workers.errors import Fatal, Poison
from workers.intake import verdict_states
from workers.ledger.policy_book import PolicyBook
from workers.origins.hosts import web_host

MAX_REASON = 1000  # characters: topics.ids.Reason

VerdictBook = PolicyBook[OriginVerdict]
VerdictEdit = Callable[[OriginVerdict | None], OriginVerdict | None]


class Judged(NamedTuple):
    """What the judge concluded. `kind` is SUSPECT or COPY; `evidence` by its kind, each with its strength."""

    key: str
    workspace: str
    host: str
    kind: VerdictKind
    evidence: Mapping[str, float]


async def append_verdict(book: VerdictBook, judged: Judged, by: By) -> OriginVerdict:
    """As `append_verdicts`, of one."""
    return (await append_verdicts(book, [judged], by))[subject(judged.key, judged.host)]


async def append_verdicts(book: VerdictBook, judged: Iterable[Judged], by: By) -> dict[str, OriginVerdict]:
    """Appends and publishes what the judge concluded; returns what stands of each, by its subject.

    What the customer has said stands, and so does what is as strong already: look at what is returned. Raises
    Unpublished where it stands in the chain and Kafka was away: repeat it.
    """
    edits = {}
    for each in judged:
        if each.kind in CUSTOMERS:
            raise Fatal(
                f"the judge can't say {each.kind}", remedy="This is a defect of the program: report it"
            )
        edits[subject(each.key, each.host)] = _said(each, by, confirmed=False)
    return await book.change(edits, by)


async def confirm_verdicts(
    book: VerdictBook, workspace: str, keys: Collection[str], host: str, kind: VerdictKind, by: By
) -> dict[str, OriginVerdict]:
    """Puts the customer's word on record for a host and each of these keys: `kind` is BENIGN or HOSTILE.

    What the judge had found stays with it as evidence. `keys` are the workspace's: the caller has looked.
    """
    if not by.why.strip():
        raise Poison("the customer's word needs a reason", remedy="Give --reason: it is kept for ever")
    checked_customer_id("workspace", workspace)
    name = checked_host(host)
    words = (Judged(checked_key(key), workspace, name, kind, {}) for key in keys)
    return await book.change({subject(word.key, name): _said(word, by, confirmed=True) for word in words}, by)


async def carry_verdicts(book: VerdictBook, old: str, new: str, by: By) -> dict[str, OriginVerdict]:
    """Says of `new`, which replaces `old`, what stands of it: a page that is copied again has the new key.

    What somebody has said of the new key stands. Suspicions are not carried: the judge finds them again.
    """
    standing = [
        value
        for value in (await book.chain.everything()).values()
        if value.key == old and value.kind is not VerdictKind.SUSPECT
    ]
    edits = {subject(new, value.host): _carried(value, new, f"rotated from {old}", by) for value in standing}
    return await book.change(edits, by)


def checked_host(text: str) -> str:
    """A host as witnesses give it, of a host or a URL that a person wrote. Raises Poison."""
    host = web_host(text if "://" in text else f"https://{text}/")
    if host is None or any(mark in text for mark in "*% \t"):
        raise Poison(f"host {text[:300]!r} can't be read", remedy="Write a host, as copy.example")
    return host


def _said(word: Judged, by: By, *, confirmed: bool) -> VerdictEdit:
    def edit(before: OriginVerdict | None) -> OriginVerdict | None:
        stays = before is not None and (
            before.kind is word.kind if confirmed else not verdict_states.may_follow(before, word.kind)
        )
        if stays:
            return None
        return OriginVerdict(
            key=word.key,
            workspace=word.workspace,
            host=word.host,
            kind=word.kind,
            confirmed=confirmed,
            reason=by.why,
            evidence=dict(word.evidence) or (before.evidence if before is not None else {}),
            changed_at=by.now,
            shard=0,
            seq=0,
        )

    return edit


def _carried(value: OriginVerdict, key: str, reason: str, by: By) -> VerdictEdit:
    words = f"{reason}: {value.reason}"[:MAX_REASON]
    carried = msgspec.structs.replace(value, key=key, reason=words, changed_at=by.now)
    return lambda before: carried if before is None else None
