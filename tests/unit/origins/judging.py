"""A customer's site and a copy of it, as the observations that the judge gets."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind
from workers.origins.judge import Conclusion, Judge
from workers.origins.judge_state import HOUR, MINUTE

BEGIN = 1_800_000_000_000 // HOUR * HOUR  # ms
KEY, OWN, COPY = "k" * 32, "www.goodshop.example", "cheap-deals.test-domain.com"
SPAN = 15_000  # ms
LEARNT = 22  # days: learning and shadow are over


def hashed(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def page_hashes(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(hashed(f"/page/{number}") for number in numbers)


def visitor_hashes(names: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted(hashed(name) for name in names))


class Site:
    """Makes observations one after the other; its one chain's offsets go on."""

    def __init__(self, begin: int = BEGIN) -> None:
        self.now = begin
        self.offset = 0

    def seen(self, host: str, records: int, *, own: bool = False, **evidence: Any) -> OriginObservation:
        made = OriginObservation(
            topic="raw-events",
            topic_id="id",
            incarnation=1,
            partition=0,
            start=self.offset,
            end=self.offset + records,
            first_at=self.now,
            last_at=self.now,
            write_key=KEY,
            workspace="w",
            source="s",
            host=host,
            own=own,
            hash_generation=1,
            records=records,
        )
        self.offset += records
        return msgspec.structs.replace(made, **evidence)

    def own(self, records: int = 1000) -> OriginObservation:
        visitors = visitor_hashes(f"own visitor {number}" for number in range(200))
        return self.seen(
            OWN,
            records,
            own=True,
            pages=page_hashes(range(200)),
            anonymous_ids=visitors,
            user_ids=visitor_hashes(f"user {number}" for number in range(100)),
            networks={f"own network {number}": 1 for number in range(50)},
            user_agents={f"browser {number}": 1 for number in range(10)},
        )

    def learnt(self, days: int = LEARNT) -> list[OriginObservation]:
        """An observation an hour of its own pages."""
        made = []
        for _ in range(days * 24):
            made.append(self.own())
            self.now += HOUR
        return made

    def copied(
        self,
        pages: Iterable[int] = range(12),
        visitors: int = 12,
        networks: int = 6,
        host: str = COPY,
        records: int = 12,
        **evidence: Any,
    ) -> OriginObservation:
        usual: dict[str, Any] = {
            "pages": page_hashes(pages),
            "anonymous_ids": visitor_hashes(f"{host} visitor {number}" for number in range(visitors)),
            "networks": {f"network {number}": 1 for number in range(networks)},
            "user_agents": {f"browser {number}": 1 for number in range(10)},
            "canonical_shadows": records,
        }
        return self.seen(host, records, **(usual | evidence))

    def settled(self, copy: Sequence[OriginObservation], minutes: int = 4) -> list[OriginObservation]:
        """The copy's, and after them its own pages' of some minutes."""
        made = list(copy)
        for _ in range(minutes * MINUTE // SPAN):
            self.now += SPAN
            made.append(self.own(20))
        return made


@cache
def _learnt(days: int) -> tuple[bytes, int, int]:
    site, judge = Site(), Judge()
    folded(judge, site.learnt(days))
    return judge.snapshot(), site.now, site.offset


def learnt(days: int = LEARNT) -> tuple[Site, Judge]:
    """A site whose own pages a judge has seen for so many days."""
    body, now, offset = _learnt(days)
    site = Site(now)
    site.offset = offset
    return site, Judge.restored(body)


def folded(judge: Judge, seen: Iterable[OriginObservation]) -> list[Conclusion]:
    return [conclusion for observation in seen for conclusion in judge.fold(observation)]


def judged(*, days: int = LEARNT, **evidence: Any) -> list[Conclusion]:
    """What a judge says that has learnt for so many days, of one observation of a copy."""
    site, judge = learnt(days)
    return folded(judge, site.settled([site.copied(**evidence)]))


def kinds(conclusions: Iterable[Conclusion]) -> list[tuple[str, VerdictKind]]:
    return [(conclusion.host, conclusion.kind) for conclusion in conclusions]
