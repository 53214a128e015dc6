"""Why one object is still there, or why and when it went: by the ledger, its unit's chain, the policy."""

from topics.times import iso_ms
from workers.errors import Poison
from workers.intake.dispositions import clock_of
from workers.ledger import data_name, live, unit_chain
from workers.ledger.chain import read
from workers.ledger.data_name import DataName
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.head import after_slot
from workers.ledger.unit_chain import UnitHead
from workers.ledger.unit_entries import Kind, UnitEntry
from workers.retention import certificate, pending
from workers.retention.dispose import Terms
from workers.retention.due import PolicyView, judge
from workers.retention.pending import Step
from workers.sealing.keys import Unit
from workers.store.port import NotFound, Store
from workers.store.retry import Retry


async def explained(
    ledger: Store, data: Store, key: str, view: PolicyView, terms: Terms, retry: Retry, now: int
) -> dict[str, object]:
    """Fields to show. `now` in ms since the epoch. Raises Poison for a key that no object has."""
    unit, listed_by, stored = await _place(ledger, key, retry)
    verdict = judge(unit, view, now)
    there = await retry.call(lambda: _is_there(data, key))
    found: dict[str, object] = {
        "object": key,
        "unit": "/".join(unit),
        "there": there,
        "listed by": listed_by or "nothing: it is an orphan, or waits for its entry",
        "policy": verdict.words,
        "due": iso_ms(verdict.at) if verdict.at is not None else "never",
    }
    head = await unit_chain.head(ledger, unit, retry)
    found["history"] = _history(head, key)
    given_up = stored is not None and key in live.fold(head, [stored], ()).free
    disposals = {entry.seq for entry in head.entries if _disposes(entry, key)}
    disposed_of = [entry.seq for entry in head.entries if entry.kind is Kind.DISPOSE]
    if given_up and not disposed_of:
        found["given up"] = "no reader is given its records: its bytes and its key go when the unit is due"
    elif given_up and not disposals:
        disposals = {disposed_of[0]}  # what was given up before goes with the first
    stood = await pending.read(ledger, unit, retry)
    if stood is not None:
        since = stood.pending.disabled_at
        found["under way"] = stood.pending.step
        if stood.pending.step is Step.DISABLED and since is not None:
            found["destroyed from"] = iso_ms(since + terms.destroy_after)
    for each in await certificate.of(ledger, unit, retry):
        if each.seq in disposals:
            found["certificate"] = each.name
            found["gone since"] = iso_ms(each.verified_at)
    return found


async def _place(ledger: Store, key: str, retry: Retry) -> tuple[Unit, str, StoredObject | None]:
    """Its unit; the entry that lists it, and as what, if one does."""
    name = data_name.parse(key)
    if name is not None:
        unit = Unit(
            name.workspace, name.source, name.day, clock_of(name.workspace, name.source, name.disposition)
        )
        return unit, *await _intake_lister(ledger, name, retry)
    output = data_name.parse_output(key)
    if output is None:
        raise Poison(
            f"{key[:200]!r} is no name of an object", remedy="Give a key that begins with data/, as listed"
        )
    head = await unit_chain.head(ledger, output.consumer, retry)
    for entry in head.entries:
        for stored in entry.outputs:
            if stored.key == key:
                return output.unit, entry.key, stored
    return output.unit, "", None


async def _intake_lister(ledger: Store, name: DataName, retry: Retry) -> tuple[str, StoredObject | None]:
    where = name.chain.entry(name.first)
    body = await read(ledger, where, retry)
    found = None if body is None else after_slot(name.chain, name.first, body)[0]
    for stored in found.objects if isinstance(found, Entry) else ():
        if stored.key == name.key:
            return where, stored
    return "", None


def _history(head: UnitHead, key: str) -> list[str]:
    """Entries of the unit's chain that took records of it."""
    return [
        f"{iso_ms(entry.committed_at)} {entry.kind} by {entry.actor}: {entry.reason}"
        for entry in head.entries
        if any(each.key == key for each in entry.consumed)
    ]


def _disposes(entry: UnitEntry, key: str) -> bool:
    return entry.kind is Kind.DISPOSE and any(each.key == key for each in entry.consumed)


async def _is_there(data: Store, key: str) -> bool:
    try:
        await data.stat(key)
    except NotFound:
        return False
    return True
