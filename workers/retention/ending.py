"""What follows a dispose entry, all of it repeatable: key destroyed, bytes deleted, certified."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import data_name
from workers.ledger.entries import Writer, digest
from workers.ledger.live import Live, LiveObject
from workers.ledger.unit_chain import UnitHead
from workers.ledger.unit_entries import Kind, UnitEntry, encode
from workers.retention import certificate, names, unit_keys
from workers.retention.certificate import Certificate, Emptied
from workers.retention.erase import Cause, Erased, erase_all
from workers.retention.pace import Pace
from workers.retention.pending import Pending
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.sealing.rows import unit_row
from workers.store.port import Store
from workers.store.retry import Retry


class Stuck(NamedTuple):
    """A bucket keeps what must go. The key is gone, so nobody can read it; the disposal is not done."""

    bucket: str
    cause: Cause
    versions: int
    example: str  # a key, and why

    @property
    def words(self) -> str:
        return f"{self.bucket} keeps {self.versions} versions ({self.cause}): {self.example}"


class Emptying(NamedTuple):
    """What was deleted for one disposal, bucket by bucket."""

    disposal: UnitEntry
    buckets: tuple[Emptied, ...]


class Ending:
    """Times are ms since the epoch."""

    def __init__(
        self,
        ledger: Store,
        buckets: Sequence[Store],
        rows: Replicas,
        writer: Writer,
        host: str,
        retry: Retry,
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._buckets = tuple(buckets)
        self._rows = rows
        self._writer = writer
        self._host = host
        self._retry = retry
        self._now = now
        self._pace = Pace()  # of all units that this worker takes at once

    @property
    def buckets(self) -> tuple[str, ...]:
        return tuple(store.name for store in self._buckets)

    def check_buckets(self, begun: Pending) -> None:
        """Raises Fatal where the disposal was begun for a bucket that this worker does not have."""
        missing = [name for name in begun.buckets if name not in self.buckets]
        if missing:
            raise Fatal(
                f"the disposal of {'/'.join(begun.unit)} was begun for {', '.join(missing)} too, "
                "which this worker does not delete from: it is not certified",
                remedy="Give STRONGROOM_ALSO_DELETE_FROM, and the data bucket, the same value everywhere",
            )

    async def certified(self, head: UnitHead) -> frozenset[int]:
        """Seqs of dispose entries that have a certificate. Requests: one list, where any is there."""
        if not any(entry.kind is Kind.DISPOSE for entry in head.entries):
            return frozenset()
        prefix = names.certificates_of(head.unit)
        return frozenset([place.seq async for place in certificate.issued(self._ledger, self._retry, prefix)])

    async def destroy(self, unit: Unit) -> int:
        """The unit's key; returns since when it is gone."""
        return await unit_keys.destroyed(self._rows, unit, self._retry, self._now())

    async def delete(self, head: UnitHead, certified: frozenset[int]) -> list[Emptying] | Stuck:
        """All that the other disposals allow to go, and a look whether it is gone.

        Where one was certified since, by another worker, nothing of it is there any more.
        """
        disposals = uncertified(head, certified)
        groups: list[set[str]] = []
        known: set[str] = set()
        others = _given_up_before(head) if disposals else set()
        for disposal in disposals:
            keys = {each.key for each in disposal.consumed} | others
            others = set()
            for key in keys:
                _check_own(key, disposal)
            groups.append(keys - known)  # a key that two name is the first one's
            known |= keys
        by_bucket: list[list[Erased]] = []
        for store in self._buckets:
            erased = await erase_all(store, groups, self._retry, self._pace)
            for each in erased:
                if not each.clean:
                    return _stuck(each)
            by_bucket.append(erased)
        of_each = zip(*by_bucket, strict=True) if by_bucket else ((),) * len(disposals)
        return [
            Emptying(disposal, tuple(map(_emptied, found)))
            for disposal, found in zip(disposals, of_each, strict=True)
        ]

    async def certify(
        self, found: Live, emptyings: Sequence[Emptying], disabled_at: int | None, destroyed_at: int
    ) -> list[Certificate]:
        """One for each; those that another worker issued first stand."""
        issued = []
        known = found.free | found.spent | found.objects
        for emptying in emptyings:
            made = self._certificate(found.head.unit, known, emptying, disabled_at, destroyed_at)
            if await certificate.issue(self._ledger, made, self._retry):
                issued.append(made)
        return issued

    def _certificate(
        self,
        unit: Unit,
        known: Mapping[str, LiveObject],
        emptying: Emptying,
        disabled_at: int | None,
        destroyed_at: int,
    ) -> Certificate:
        entry = emptying.disposal
        objects = [known[each.key].stored for each in entry.consumed if each.key in known]
        reason, _, words = entry.reason.partition(": ")
        return Certificate(
            workspace=entry.workspace,
            source=entry.source,
            day=entry.day,
            clock=entry.clock,
            seq=entry.seq,
            entry=entry.key,
            entry_sha256=digest(encode(entry)),
            reason=reason,
            words=words,
            policy=entry.policy,
            disposed=certificate.disposed(objects, sum(each.count for each in entry.consumed)),
            key=unit_row(unit),
            key_disabled_at=disabled_at,
            disposed_at=entry.committed_at,
            key_destroyed_at=destroyed_at,
            verified_at=self._now(),
            buckets=emptying.buckets,
            worker=self._writer,
            host=self._host,
        )


def uncertified(head: UnitHead, certified: frozenset[int]) -> list[UnitEntry]:
    """Dispose entries that no certificate names yet."""
    return [entry for entry in head.entries if entry.kind is Kind.DISPOSE and entry.seq not in certified]


def _check_own(key: str, disposal: UnitEntry) -> None:
    """Raises Fatal: an entry gives leave for its own unit's objects alone, whoever wrote it."""
    name = data_name.parse(key) or data_name.parse_output(key)
    if name is None or name.unit != (disposal.workspace, disposal.source, disposal.day, disposal.clock):
        raise Fatal(
            f"{disposal.key} disposes of {key}, which is not of its unit: nothing of it is deleted",
            remedy="Find out who wrote it: no program of ours would. `strongroom verify` names such entries",
        )


def _given_up_before(head: UnitHead) -> set[str]:
    """Objects that no dispose names, and that an entry has given leave to go."""
    disposed = {each.key for entry in head.entries if entry.kind is Kind.DISPOSE for each in entry.consumed}
    return {each.key for entry in head.entries for each in entry.consumed} - disposed


def _emptied(erased: Erased) -> Emptied:
    return Emptied(erased.bucket, erased.versions, erased.delete_markers, erased.uploads, erased.absent)


def _stuck(erased: Erased) -> Stuck:
    key, why = next(iter(erased.kept.items()), ("", "they are still listed"))
    return Stuck(erased.bucket, erased.cause, erased.left, f"{key}: {why}")
