"""Why one object is still there, or why and when it went: by the ledger, its unit's chain, the policy."""

from topics.times import iso_ms
from workers.errors import Poison
from workers.intake.dispositions import clock_of
from workers.ledger import data_name, unit_chain
from workers.ledger.chain import read
from workers.ledger.data_name import DataName
from workers.ledger.entries import Entry
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
    unit, listed_by = await _place(ledger, key, retry)
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
    stood = await pending.read(ledger, unit, retry)
    if stood is not None:
        since = stood.pending.disabled_at
        found["under way"] = stood.pending.step
        if stood.pending.step is Step.DISABLED and since is not None:
            found["destroyed from"] = iso_ms(since + terms.destroy_after)
    for each in await certificate.of(ledger, unit, retry):
        if any(entry.seq == each.seq and _disposes(entry, key) for entry in head.entries):
            found["certificate"] = each.name
            found["gone since"] = iso_ms(each.verified_at)
    return found


async def _place(ledger: Store, key: str, retry: Retry) -> tuple[Unit, str]:
    """Its unit, and the entry that lists it, if one does."""
    name = data_name.parse(key)
    if name is not None:
        unit = Unit(
            name.workspace, name.source, name.day, clock_of(name.workspace, name.source, name.disposition)
        )
        return unit, await _intake_lister(ledger, name, retry)
    output = data_name.parse_output(key)
    if output is None:
        raise Poison(
            f"{key[:200]!r} is no name of an object", remedy="Give a key that begins with data/, as listed"
        )
    head = await unit_chain.head(ledger, output.consumer, retry)
    by = [entry.key for entry in head.entries for stored in entry.outputs if stored.key == key]
    return output.unit, "".join(by)


async def _intake_lister(ledger: Store, name: DataName, retry: Retry) -> str:
    where = name.chain.entry(name.first)
    body = await read(ledger, where, retry)
    found = None if body is None else after_slot(name.chain, name.first, body)[0]
    listed = isinstance(found, Entry) and any(stored.key == name.key for stored in found.objects)
    return where if listed else ""


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
