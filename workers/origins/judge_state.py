"""What the judge remembers of a write key: its own pages and visitors, its traffic, and each foreign host.

Bounded: MAX_HOSTS hosts of each kind a key, sketches of fixed size, hours and minutes that pass, 30 days.
Times in ms since the epoch, of the broker's append time: the state knows no other clock.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from topics.origin_observations import SKETCH, OriginObservation
from workers.origins.sketches import Hashes, Sketch, no_hashes
from workers.origins.spans import Spans

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EXPIRY = 30 * DAY
LEARNING = 14 * DAY  # from the first own record on
MAX_HOSTS = 64  # foreign ones of a key, and own ones
MAX_COUNTED = 128  # networks, or user agents, of a host
MINUTES_KEPT = 60
HOURS_KEPT = 9 * 24  # a week before yesterday, yesterday, today

OWN_PAGES, OWN_VISITORS, OWN_USERS = 8192, 8192, 8192  # hashes of a key
PAGES, VISITORS, USERS = 1024, 512, 256  # hashes of a foreign host


class Evidence(msgspec.Struct):
    """Sets and shares of one side: the customer's own hosts together, or one foreign host."""

    pages: Sketch
    visitors: Sketch
    users: Sketch
    networks: dict[str, int] = msgspec.field(default_factory=dict)
    user_agents: dict[str, int] = msgspec.field(default_factory=dict)

    def add(self, seen: OriginObservation, new: int) -> None:
        """`new` of its records were not counted before. Sets take all: what they have stays one."""
        self.pages.add(seen.pages)
        _add_sketch(self.visitors, seen.anonymous_ids)
        _add_sketch(self.users, seen.user_ids)
        _count(self.networks, seen.networks, new, seen.records)
        _count(self.user_agents, seen.user_agents, new, seen.records)


def own_evidence() -> Evidence:
    return Evidence(Sketch(OWN_PAGES), Sketch(OWN_VISITORS), Sketch(OWN_USERS))


def host_evidence() -> Evidence:
    return Evidence(Sketch(PAGES), Sketch(VISITORS), Sketch(USERS))


class Host(msgspec.Struct, kw_only=True):
    """A host of a key. One that the customer lists has no more: its evidence is the key's."""

    last_at: int
    records: int = 0
    spans: dict[str, Spans] = msgspec.field(default_factory=dict)  # by chain


class HostState(Host, kw_only=True):
    """A foreign one."""

    first_at: int
    self_referrals: int = 0
    canonical_shadows: int = 0
    evidence: Evidence = msgspec.field(default_factory=host_evidence)
    hours: dict[int, int] = msgspec.field(default_factory=dict)  # number of the hour → records
    minutes: dict[int, int] = msgspec.field(default_factory=dict)
    noticed_at: int | None = None  # since when its pages are enough to suspect it
    matched_at: int | None = None  # since when they are enough for a copy
    due: int | None = None  # when it is weighed again, whether or not anything comes of it
    issued: str = ""  # the strongest kind of verdict that was given
    braked: str = ""  # which brake holds a verdict back


H = TypeVar("H", bound=Host)


class KeyState(msgspec.Struct):
    """One write key of one workspace."""

    workspace: str
    source: str
    clock: int = 0  # the newest append time that was folded
    learning_since: int | None = None  # the first own record
    generation: int = 0  # of the hash keys: hashes of another one can't be compared
    own: Evidence = msgspec.field(default_factory=own_evidence)
    own_hosts: dict[str, Host] = msgspec.field(default_factory=dict)
    hosts: dict[str, HostState] = msgspec.field(default_factory=dict)
    hours: dict[int, int] = msgspec.field(default_factory=dict)  # own and foreign records together
    minutes: dict[int, int] = msgspec.field(default_factory=dict)
    floors: dict[str, int] = msgspec.field(default_factory=dict)  # chain → where hosts that had to go stood

    def fold(self, seen: OriginObservation) -> bool:
        """Takes an observation in, once. False: it is too old, or all of its offsets were folded before."""
        if seen.last_at < self.clock - EXPIRY:
            return False
        chain = chain_of(seen)
        known = self.hosts.get(seen.host) or self.own_hosts.get(seen.host)
        spans = known.spans.get(chain) if known is not None else None
        if spans is None:
            spans = Spans(self.floors.get(chain, 0))
        new = spans.fold(seen.start, seen.end, seen.records)
        if new is None:
            return False
        self._advance(seen.last_at)
        self._tally(self.hours, self.minutes, seen.last_at, new)
        if seen.hash_generation > self.generation:
            self._forget_hashes(seen.hash_generation)
        host = self._own_host(seen, known) if seen.own else self._foreign_host(seen, known)
        host.spans[chain] = spans
        host.last_at = max(host.last_at, seen.last_at)
        host.records += new
        evidence = self.own
        if isinstance(host, HostState):
            host.first_at = min(host.first_at, seen.first_at)
            host.self_referrals += scaled(seen.self_referrals, new, seen.records)
            host.canonical_shadows += scaled(seen.canonical_shadows, new, seen.records)
            self._tally(host.hours, host.minutes, seen.last_at, new)
            evidence = host.evidence
        elif self.learning_since is None or seen.first_at < self.learning_since:
            self.learning_since = seen.first_at
        if seen.hash_generation == self.generation:
            evidence.add(seen, new)
        return True

    def _own_host(self, seen: OriginObservation, known: Host | None) -> Host:
        if self.hosts.pop(seen.host, None) is not None or known is None:
            # listed by now: the customer's word ends what was thought of it
            known = self.own_hosts[seen.host] = Host(
                last_at=seen.last_at, spans=known.spans if known is not None else {}
            )
            self._make_room(self.own_hosts, seen.host)
        return known

    def _foreign_host(self, seen: OriginObservation, known: Host | None) -> HostState:
        self.own_hosts.pop(seen.host, None)
        host = self.hosts.get(seen.host)
        if host is None:
            host = self.hosts[seen.host] = HostState(
                first_at=seen.first_at,
                last_at=seen.last_at,
                spans=known.spans if known is not None else {},
            )
            self._make_room(self.hosts, seen.host)
        return host

    def _make_room(self, hosts: dict[str, H], newest: str) -> None:
        """The smallest goes, as in SpaceSaving; whom learning or a verdict made known goes last."""
        if len(hosts) > MAX_HOSTS:
            others = [name for name in hosts if name != newest]
            self._drop(hosts, min(others, key=lambda name: (*self._worth(hosts[name]), name)))

    def _worth(self, host: Host) -> tuple[bool, int, int]:
        known = isinstance(host, HostState) and (bool(host.issued) or self.in_learning(host.first_at))
        return known, host.records, host.last_at

    def in_learning(self, at: int) -> bool:
        """Whether the judge was still learning the key's usual hosts at that time."""
        return self.learning_since is None or at < self.learning_since + LEARNING

    def _drop(self, hosts: dict[str, H], name: str) -> None:
        for chain, spans in hosts.pop(name).spans.items():
            self.floors[chain] = max(self.floors.get(chain, 0), spans.folded_to())

    def _forget_hashes(self, generation: int) -> None:
        self.generation = generation
        self.own = own_evidence()
        for host in self.hosts.values():
            host.evidence = host_evidence()
            host.noticed_at = host.matched_at = host.due = None

    def _tally(self, hours: dict[int, int], minutes: dict[int, int], at: int, new: int) -> None:
        for counts, number, now, kept in (
            (hours, at // HOUR, self.clock // HOUR, HOURS_KEPT),
            (minutes, at // MINUTE, self.clock // MINUTE, MINUTES_KEPT),
        ):
            if number > now - kept:
                counts[number] = counts.get(number, 0) + new
            for passed in [old for old in counts if old <= now - kept] if len(counts) > kept else ():
                del counts[passed]

    def _advance(self, at: int) -> None:
        hour, self.clock = self.clock // HOUR, max(self.clock, at)
        if self.clock // HOUR > hour:
            self._expire(self.hosts)
            self._expire(self.own_hosts)

    def _expire(self, hosts: dict[str, H]) -> None:
        for name in [name for name, host in hosts.items() if host.last_at < self.clock - EXPIRY]:
            self._drop(hosts, name)


def chain_of(seen: OriginObservation) -> str:
    """The raw-events chain that its offsets are of."""
    return f"{seen.topic}/{seen.topic_id}/{seen.incarnation}/{seen.partition}"


def scaled(count: int, new: int, records: int) -> int:
    """`new` of the `records` that a count is of were not counted before: so many of it, at most."""
    return count if new >= records else count * new // records


def _add_sketch(sketch: Sketch, seen: tuple[int, ...]) -> None:
    if len(seen) >= SKETCH:  # it was full: it may lack what is larger than its largest
        sketch.limit(max(seen) + 1)
    sketch.add(seen)


def _count(counts: dict[str, int], seen: Mapping[str, int], new: int, records: int) -> None:
    for name, count in sorted(seen.items()):
        if more := scaled(count, new, records):
            counts[name] = counts.get(name, 0) + more
    while len(counts) > MAX_COUNTED:
        del counts[min(counts, key=lambda name: (counts[name], name))]


def total(counts: Mapping[int, int], numbers: Iterable[int]) -> int:
    """Records of these hours, or minutes."""
    return sum(counts.get(number, 0) for number in numbers)


def encode(states: Mapping[str, KeyState]) -> bytes:
    return _encoder.encode(states)


def decode(body: bytes) -> dict[str, KeyState]:
    """Raises msgspec.MsgspecError for what `encode` did not make."""
    return _decoder.decode(body)


def _packed(value: Any) -> bytes:
    assert isinstance(value, Hashes)  # noqa: S101  # all others are msgspec's own
    return value.tobytes()


def _unpacked(kind: type, value: Any) -> Hashes:
    unpacked = no_hashes()
    unpacked.frombytes(value)
    return unpacked


_encoder = msgspec.msgpack.Encoder(enc_hook=_packed)
_decoder = msgspec.msgpack.Decoder(dict[str, KeyState], dec_hook=_unpacked)
