"""Quotas of write keys: token buckets by the broker's append time, in whole numbers, so they are exact.

A bucket is counted in thousandths, of a record and of a byte: a rate a second fills so many of them each ms.
"""

from typing import NamedTuple

from topics.workspaces import OverQuota, Workspace

UNIT = 1000  # of a bucket, a record or a byte
BUCKETS_MAX = 16_384  # keys of a partition: beyond, the one that came first starts over with a full bucket


class Limit(NamedTuple):
    """A workspace's quota for each of its keys. None: no limit of that kind."""

    over: OverQuota
    records: int | None  # a second
    bytes: int | None  # a second
    records_full: int  # units that a full bucket has
    bytes_full: int


def limit_of(workspace: Workspace) -> Limit | None:
    """None where its keys are not limited."""
    records, bytes_, burst = workspace.quota_records, workspace.quota_bytes, workspace.quota_burst
    if workspace.over_quota is OverQuota.OFF or (records is None and bytes_ is None):
        return None
    return Limit(
        workspace.over_quota, records, bytes_, (records or 0) * burst * UNIT, (bytes_ or 0) * burst * UNIT
    )


class _Bucket:
    __slots__ = ("at", "bytes", "limit", "records")

    def __init__(self, limit: Limit, at: int) -> None:
        self.limit = limit
        self.at = at  # ms: filled up to here
        self.records = limit.records_full
        self.bytes = limit.bytes_full

    def fill(self, elapsed: int) -> None:
        """By what so many ms bring."""
        limit = self.limit
        if limit.records is not None:
            self.records = min(limit.records_full, self.records + elapsed * limit.records)
        if limit.bytes is not None:
            self.bytes = min(limit.bytes_full, self.bytes + elapsed * limit.bytes)

    def become(self, limit: Limit) -> None:
        """From now on by another limit: what is in it stays, if it fits."""
        old, self.limit = self.limit, limit
        self.records = limit.records_full if old.records is None else min(self.records, limit.records_full)
        self.bytes = limit.bytes_full if old.bytes is None else min(self.bytes, limit.bytes_full)


class Quotas:
    """Of one partition, since it was claimed."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def __len__(self) -> int:
        """Keys that are remembered."""
        return len(self._buckets)

    def take(self, write_key: str, limit: Limit, appended: int, size: int) -> bool:
        """Whether a record of `size` bytes, appended at that time (ms), is within the limit; then it counts.

        A time before the newest one fills nothing. A record larger than a full bucket of bytes passes when
        that is full, and what it overdraws is waited for: so no record is too large for ever.
        """
        bucket = self._buckets.get(write_key)
        if bucket is None:
            bucket = self._open(write_key, limit, appended)
        elif bucket.limit is not limit:
            bucket.become(limit)
        elapsed = appended - bucket.at
        if elapsed > 0:
            bucket.fill(elapsed)
            bucket.at = appended
        if limit.records is not None and bucket.records < UNIT:
            return False
        if limit.bytes is not None:
            cost = size * UNIT
            if bucket.bytes < cost and bucket.bytes < limit.bytes_full:
                return False
            bucket.bytes -= cost
        if limit.records is not None:
            bucket.records -= UNIT
        return True

    def _open(self, write_key: str, limit: Limit, appended: int) -> _Bucket:
        if len(self._buckets) >= BUCKETS_MAX:
            del self._buckets[next(iter(self._buckets))]
        bucket = self._buckets[write_key] = _Bucket(limit, appended)
        return bucket
