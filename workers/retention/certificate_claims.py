"""What a certificate claims, claim by claim: in words where it is otherwise."""

from collections.abc import Mapping

from workers.errors import Fatal
from workers.ledger import data_name, unit_chain
from workers.ledger.entries import StoredObject, digest
from workers.ledger.unit_entries import UnitEntry, encode
from workers.retention import certificate
from workers.retention.certificate import Certificate
from workers.store.port import Store
from workers.store.retry import Retry


def of_entry(issued: Certificate, entry: UnitEntry) -> list[str]:
    """What it repeats of its dispose entry. Pure."""
    said: dict[str, tuple[object, object]] = {
        "entry": (issued.entry, entry.key),
        "entry_sha256": (issued.entry_sha256, digest(encode(entry))),
        "reason": (f"{issued.reason}: {issued.words}", entry.reason),
        "policy": (issued.policy, entry.policy),
        "disposed_at": (issued.disposed_at, entry.committed_at),
        "objects": (issued.disposed.objects, len(entry.consumed)),
        "records": (issued.disposed.records, sum(each.count for each in entry.consumed)),
    }
    wrong = [field for field, (one, other) in said.items() if one != other]
    return [f"{', '.join(wrong)}: not as in {entry.key}"] if wrong else []


async def of_objects(
    issued: Certificate, entry: UnitEntry, listed: Mapping[str, StoredObject], ledger: Store, retry: Retry
) -> list[str]:
    """The sums of the objects that its entry names. `listed`: what intake stored of the unit, by key.

    Requests: one an object that is an output of a unit chain.
    """
    objects = []
    for each in entry.consumed:
        stored = listed.get(each.key) or await _output(each.key, ledger, retry)
        if stored is None:
            return [f"no entry lists {each.key}, which it certifies"]
        objects.append(stored)
    true = certificate.disposed(objects, issued.disposed.records)
    said = {
        "stored_bytes": (issued.disposed.stored_bytes, true.stored_bytes),
        "sha256": (issued.disposed.sha256, true.sha256),
    }
    wrong = [field for field, (one, other) in said.items() if one != other]
    return [f"{', '.join(wrong)}: not as in the entries that list its objects"] if wrong else []


async def _output(key: str, ledger: Store, retry: Retry) -> StoredObject | None:
    name = data_name.parse_output(key)
    try:
        return None if name is None else await unit_chain.listed_output(ledger, name, retry)
    except Fatal:
        return None  # its chain is broken, which is found where it lies


def of_buckets(issued: Certificate, new: int, data: str) -> list[str]:
    """What it counts, bucket by bucket. `new`: objects that no disposal before it has named; `data`: the data
    bucket's name. Pure."""
    wrong = []
    counted = [each.bucket for each in issued.buckets]
    if data not in counted:
        wrong.append(f"it does not say that {data} was emptied")
    if len(counted) != len(set(counted)):
        wrong.append("it counts a bucket twice")
    for each in issued.buckets:
        counts = (each.versions, each.delete_markers, each.uploads, each.absent or 0)
        if min(counts) < 0:
            wrong.append(f"{each.bucket}: a count below 0")
        elif each.absent is not None and each.versions + each.delete_markers + each.absent < new:
            wrong.append(f"{each.bucket}: it accounts for fewer than {new} objects")
    return wrong
