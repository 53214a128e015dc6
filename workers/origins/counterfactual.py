"""What would have become of what was seen, had the policy been another: a dry run over observations. Pure.

By the host that the browser named, which is all that an observation tells: what becomes of a record for
another reason (a revoked key, a quota) is not in it, and re-hosts, whose addresses say more, are told apart.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Source, SourceType, Workspace
from workers.origins.hosts import HostPatterns, host_patterns
from workers.origins.rehosts import of_family
from workers.origins.seen import Observed, Subject


class Became(StrEnum):
    ACCEPTED = "accepted"
    FLAGGED = "flagged"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    REHOSTED = "rehosted"  # accepted where its address holds an own host, flagged otherwise


Verdicts = Mapping[tuple[str, str], VerdictKind]  # (key, host)


class Terms(NamedTuple):
    """A policy as it stands, or as somebody proposes it."""

    workspace: Workspace
    verdicts: Verdicts

    def becomes(self, subject: Subject) -> Became:
        verdict = self.verdicts.get((subject.key, subject.host))
        own = self._own(subject.source)
        if not subject.host:
            return Became.ACCEPTED
        if verdict is VerdictKind.HOSTILE:
            return Became.REJECTED
        if own is None or subject.host in own or verdict is VerdictKind.BENIGN:
            return Became.ACCEPTED
        if of_family(subject.host):
            return Became.REHOSTED
        if verdict is VerdictKind.COPY and self.workspace.origins is OriginPolicy.QUARANTINE:
            return Became.QUARANTINED
        return Became.FLAGGED

    def _own(self, source_id: str) -> HostPatterns | None:
        source = self.workspace.source(source_id) or Source(id=source_id, type=SourceType.BROWSER)
        own = (*self.workspace.allowed_origins, *source.allowed_origins)
        return host_patterns(own) if own else None


class Row(NamedTuple):
    subject: Subject
    records: int
    now: Became
    then: Became
    verdict: VerdictKind | None  # as proposed


class Compared(NamedTuple):
    now: Counter[Became]
    then: Counter[Became]
    rows: tuple[Row, ...]  # of hosts for which it makes a difference, most records first


def compare(seen: Observed, now: Terms, then: Terms) -> Compared:
    """By both policies, with the verdicts as if they had stood all the time."""
    before, after = Counter[Became](), Counter[Became]()
    rows = []
    for subject, total in seen.of.items():
        row = Row(
            subject,
            total.records,
            now.becomes(subject),
            then.becomes(subject),
            then.verdicts.get((subject.key, subject.host)),
        )
        before[row.now] += row.records
        after[row.then] += row.records
        if row.now is not row.then:
            rows.append(row)
    rows.sort(key=lambda row: (-row.records, row.subject))
    return Compared(before, after, tuple(rows))
