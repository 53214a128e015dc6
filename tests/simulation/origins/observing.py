"""Raw envelopes to observations, by the archive's own code."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tests.runs import runs_of
from tests.simulation.origins.site import Hit, Site
from topics import workspaces, write_keys
from topics.origin_observations import OriginObservation
from topics.times import iso_ms
from topics.workspaces import Source, Workspace
from topics.write_keys import KeyState, WriteKey
from workers.intake.dispositions import Decision
from workers.intake.facts import Account
from workers.intake.lines import Lines
from workers.intake.observing import HashKey, Span, observe
from workers.intake.policy import Policy
from workers.intake.samples import Samples
from workers.intake.sort import Sorter, Sorting

INTERVAL = 15_000  # ms
SAMPLED = 64  # of the customer's own records, one in so many is looked at


def envelope(site: Site, hit: Hit) -> bytes:
    """The value of its raw-events record."""
    page = {"url": hit.url, "path": hit.page.path, "title": hit.page.title, "referrer": hit.referrer}
    event = {
        "type": "page",
        "anonymousId": hit.visitor.anonymous,
        "userId": hit.visitor.user,
        "context": {"page": page},
    }
    headers = {"origin": hit.origin, "referer": hit.referer, "userAgent": hit.visitor.browser}
    return msgspec.json.encode(
        {
            "v": 1,
            "writeKey": site.write_key,
            "receivedAt": iso_ms(hit.at),
            "ip": hit.visitor.ip,
            **{name: value for name, value in headers.items() if value is not None},
            "event": event,
        }
    )


class _Record(NamedTuple):
    offset: int
    timestamp: int
    timestamp_type: int
    value: bytes | None


class _Whole(Samples):
    """Keeps all, of traffic that was thinned out before."""

    def see(self, chunk: Iterable[tuple[Decision, Sequence[bytes]]], first_at: int, last_at: int) -> None:
        whole = list(chunk)
        super().see(whole, first_at, last_at)
        for decision, lines in whole:
            if decision in self.groups:
                self.groups[decision].kept = Lines(lines)


class Observer:
    """One chain's. `sampled` 1 looks at every own record; otherwise as archive workers do."""

    def __init__(self, site: Site, sampled: int = SAMPLED, offset: int = 0) -> None:
        workspace = Workspace(
            id="w", sources=(Source(id="s"),), allowed_origins=site.allowed, changed_at=1, shard=0, seq=1
        )
        key = WriteKey(
            key=site.write_key,
            workspace="w",
            source="s",
            state=KeyState.ACTIVE,
            changed_at=1,
            shard=0,
            seq=1,
        )
        policy = Policy()
        policy.apply_workspace(workspaces.codec.encode(workspace))
        policy.apply_write_key(write_keys.codec.encode(key))
        self._sorter = Sorter(policy)
        self._account = Account(workspace, "s")
        self._hashed = HashKey(1, f"key {site.seed}".encode())
        self._samples = _Whole if sampled == 1 else Samples
        self._records: list[_Record] = []
        self.offset = offset

    def see(self, at: int, value: bytes) -> None:
        self._records.append(_Record(self.offset, at, 1, value))
        self.offset += 1

    def cut(self) -> Iterator[OriginObservation]:
        """What was seen since the last cut."""
        records, self._records = self._records, []
        if not records:
            return
        samples = self._samples(records[0].offset)
        self._sorter.sort(runs_of(records), now=records[-1].timestamp, into=Sorting(), seen=samples)
        if samples.groups:
            span = Span(
                *("raw-events", "simulated", 1, 0),
                *(samples.start, self.offset, samples.first_at, samples.last_at),
            )
            yield from observe(span, samples.groups, self._account, self._hashed)


def observed(observer: Observer, site: Site, hits: Iterable[Hit]) -> Iterator[tuple[int, OriginObservation]]:
    """Observations of hits in the order of time, with the time at which each is sent: every INTERVAL."""
    due = None
    for hit in hits:
        while due is not None and hit.at >= due:
            for observation in observer.cut():
                yield due, observation
            due = due + INTERVAL if hit.at < due + INTERVAL else hit.at // INTERVAL * INTERVAL + INTERVAL
        if due is None:
            due = hit.at // INTERVAL * INTERVAL + INTERVAL
        observer.see(hit.at, envelope(site, hit))
    for observation in observer.cut():
        yield due or 0, observation
