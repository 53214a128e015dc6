"""What the metrics say of the records that a worker archives: those that wait, and those committed."""

from collections.abc import Collection

from workers.intake.dispositions import Disposition
from workers.ledger.entries import Entry
from workers.ledger.partition import Partition
from workers.observe import metrics


def waiting(partitions: Collection[Partition], halted: int, now: int) -> None:
    """`now`: ms since the epoch."""
    oldest = min((each.oldest for each in partitions if each.oldest is not None), default=None)
    metrics.BUFFERED_BYTES.set(sum(each.buffered_bytes for each in partitions))
    metrics.BUFFERED_RECORDS.set(sum(each.buffered_records for each in partitions))
    metrics.OLDEST_SECONDS.set(0 if oldest is None else max(0, now - oldest) / 1000)
    metrics.PARTITIONS.labels(state="owned").set(len(partitions))
    metrics.PARTITIONS.labels(state="halted").set(halted)


def committed(entry: Entry) -> None:
    metrics.COMMITS.inc()
    metrics.OBJECTS.inc(len(entry.objects))
    metrics.PLAIN_BYTES.inc(sum(stored.plain_bytes for stored in entry.objects))
    metrics.STORED_BYTES.inc(sum(stored.stored_bytes for stored in entry.objects))
    metrics.RECORDS.labels(disposition=Disposition.GAP, reason="gap").inc(entry.gaps)
    for disposition, reasons in entry.counts.items():
        for reason, count in reasons.items():
            metrics.RECORDS.labels(disposition=disposition, reason=reason).inc(count)
