"""Sweeps orphans: looks at all objects, then deletes the orphans that are old enough, unless it brakes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.ledger.orphans import Judged, Kind, judged
from workers.store.port import Store
from workers.store.retry import Retry

DELETED_AT_ONCE = 1000  # keys a request, as S3 allows
HELD_MAX = 100_000  # orphans a pass that are deleted; their names wait in memory, about 250 bytes each
EXAMPLES_MAX = 20
SKEW = 3_600_000  # ms by which the store's clock and ours may differ


@dataclass(frozen=True, slots=True)
class Brake:
    """So many orphans at once are a fault elsewhere: a wrong ledger, a restored one. A person decides."""

    share: float  # of all objects
    least: int  # objects; fewer orphans than this never brake

    def holds(self, due: int, objects: int) -> bool:
        return due >= self.least and due > self.share * objects


@dataclass(frozen=True, slots=True)
class Terms:
    delete: bool = False
    grace: float = 3600.0  # seconds that an orphan is left alone; a margin, it is safe without
    brake: Brake | None = None
    since: int = 0  # objects modified before (ms since the epoch) were all found listed by an earlier pass


@dataclass
class Sweep:
    """What one pass found and did. Counts are objects."""

    kinds: Counter[Kind] = field(default_factory=Counter)
    bytes: Counter[Kind] = field(default_factory=Counter)
    due: int = 0  # orphans older than the grace
    due_bytes: int = 0
    swept: int = 0
    swept_bytes: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # key → why the store kept it; the first ones
    refusals: int = 0
    braked: bool = False
    doubts: list[tuple[str, str]] = field(default_factory=list)  # (key, why) of the first doubtful ones
    settled: int = 0  # the `since` of the next pass

    @property
    def objects(self) -> int:
        return self.kinds.total()

    @property
    def doubtful(self) -> int:
        """Kept because of what a person must look at."""
        return self.kinds[Kind.STRANGE] + self.kinds[Kind.FOREIGN] + self.kinds[Kind.UNPROVEN]


async def sweep(
    ledger: Store,
    data: Store,
    retry: Retry,
    now: int,
    terms: Terms,
    looked: Callable[[Judged], None] = lambda each: None,
) -> Sweep:
    """One pass at `now` (ms since the epoch); `looked` is told of each object.

    Nothing is deleted before all objects were looked at. Raises Retryable where a bucket can't be read: then
    nothing was deleted. In a bucket with versions the bytes stay, as an old version.
    """
    found = Sweep(settled=now - SKEW)
    due: list[tuple[str, int]] = []
    async for each in judged(ledger, data, retry, terms.since):
        _count(found, each)
        if each.kind is Kind.ORPHAN and each.stat.modified <= now - terms.grace * 1000:
            found.due += 1
            found.due_bytes += each.stat.size
            if len(due) < HELD_MAX:
                due.append((each.stat.key, each.stat.size))
        looked(each)
    found.braked = terms.brake is not None and terms.brake.holds(found.due, found.objects)
    if terms.delete and not found.braked:
        for at in range(0, len(due), DELETED_AT_ONCE):
            await _delete(data, dict(due[at : at + DELETED_AT_ONCE]), retry, found)
    return found


def _count(found: Sweep, each: Judged) -> None:
    found.kinds[each.kind] += 1
    found.bytes[each.kind] += each.stat.size
    if each.kind is Kind.LISTED:
        return
    # what is settled never changes again; all else is looked at by the next pass too
    found.settled = min(found.settled, each.stat.modified)
    if each.kind not in (Kind.PENDING, Kind.ORPHAN) and len(found.doubts) < EXAMPLES_MAX:
        found.doubts.append((each.stat.key, each.why))


async def _delete(data: Store, sizes: dict[str, int], retry: Retry, found: Sweep) -> None:
    refused = await retry.call(lambda: data.delete(list(sizes)))
    found.refusals += len(refused)
    for key, why in refused.items():
        if len(found.refused) < EXAMPLES_MAX:
            found.refused[key] = why
    found.swept += len(sizes) - len(refused)
    found.swept_bytes += sum(size for key, size in sizes.items() if key not in refused)
