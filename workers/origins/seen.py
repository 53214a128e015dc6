"""What the archive saw of a workspace's hosts lately, summed up from observations, each offset once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from topics.origin_observations import OriginObservation, codec
from workers.errors import Poison
from workers.origins.judge_state import chain_of, scaled
from workers.origins.spans import Spans


class Subject(NamedTuple):
    source: str
    key: str
    host: str  # the witness; empty where a browser named none


@dataclass
class Seen:
    """Of one host and key. Memory: a few hundred bytes for each partition that it was seen in."""

    records: int = 0
    canonical_shadows: int = 0
    claims: Counter[str] = field(default_factory=Counter)  # host that its pages name → records
    spans: dict[str, Spans] = field(default_factory=dict)  # by chain


@dataclass
class Observed:
    """Sums over one workspace's observations, in any order, sent again or not."""

    workspace: str
    keys: frozenset[str] = frozenset()  # only these; empty: all
    of: dict[Subject, Seen] = field(default_factory=dict)
    unreadable: int = 0

    @property
    def records(self) -> int:
        return sum(seen.records for seen in self.of.values())

    def add(self, values: Iterable[bytes]) -> None:
        for value in values:
            try:
                observation = codec.decode(value)
            except Poison:
                self.unreadable += 1
                continue
            if observation.workspace == self.workspace and (
                not self.keys or observation.write_key in self.keys
            ):
                self._fold(observation)

    def hosts(self) -> Iterator[tuple[str, Seen]]:
        """Over all keys and sources together."""
        together: dict[str, Seen] = {}
        for subject, seen in self.of.items():
            total = together.setdefault(subject.host, Seen())
            total.records += seen.records
            total.canonical_shadows += seen.canonical_shadows
            total.claims += seen.claims
        yield from together.items()

    def _fold(self, seen: OriginObservation) -> None:
        total = self.of.setdefault(Subject(seen.source, seen.write_key, seen.host), Seen())
        new = total.spans.setdefault(chain_of(seen), Spans()).fold(seen.start, seen.end, seen.records)
        if new is None:
            return
        total.records += new
        total.canonical_shadows += scaled(seen.canonical_shadows, new, seen.records)
        for host, records in seen.claims.items():
            total.claims[host] += scaled(records, new, seen.records)
