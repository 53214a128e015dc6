"""Holds the copy of the index against the ledger: what it counts of each unit, and what of each unit's chain.

A lost copy is no fault, and one that is older neither. One that says something else than the ledger is.
"""

from collections.abc import Iterator

from workers.errors import Fatal
from workers.ledger import unit_chain
from workers.ledger.chain import find
from workers.ledger.verify_report import Kind, NoteKind, Report
from workers.retention import certificate, index_copy, names
from workers.retention.census import UnitChain, unit_chain_of
from workers.retention.index import UnitIndex
from workers.retention.index_copy import ChainCopy, IndexCopy, UnitChainCopy, UnitCopy, unit_of
from workers.store.port import Store
from workers.store.retry import Retry


async def audit(ledger: Store, retry: Retry, report: Report) -> None:
    """Adds findings. Requests: one an entry that the copy knows of, intake's and units'. Memory: two copies.

    A ledger that is broken is found where it lies: then nothing is said of the copy.
    """
    got = await find(ledger, names.INDEX, retry)
    if got is None:
        return
    copy = index_copy.decode(got.body)
    if copy is None:
        report.found(Kind.WRONG_INDEX, names.INDEX, "it can't be read")
        return
    try:
        wrong = [*await _of_intake(ledger, retry, copy)]
        certified = {(each.unit, each.seq) async for each in certificate.issued(ledger, retry)}
        for each in copy.unit_chains:
            unit = unit_of(each.unit)
            head = await unit_chain.head(ledger, unit, retry)
            seen = unit_chain_of(head.entries[: each.seq], min(each.seq, head.seq))
            if not _is_so(each, seen) or any((unit, seq) not in certified for seq in each.certified):
                wrong.append(f"of the chain of {'/'.join(each.unit)} it says something else than the ledger")
    except Fatal:
        return
    for why in wrong:
        report.found(Kind.WRONG_INDEX, names.INDEX, why)


async def leave_out(ledger: Store, retry: Retry, report: Report) -> None:
    """Notes that there is a copy which was not looked at."""
    if await find(ledger, names.INDEX, retry) is not None:
        why = "its sums are of all entries, those before the checkpoints too: not compared"
        report.note(NoteKind.LEFT_OUT, names.INDEX, why)


async def _of_intake(ledger: Store, retry: Retry, copy: IndexCopy) -> list[str]:
    upto = {each.id: None if each.closed else each.next for each in copy.chains}
    index = UnitIndex(ledger, retry, lambda: 0, upto)
    await index.advance()
    true = await index.copied()
    heads = {each.id: each for each in true.chains}
    wrong = [
        f"it stands at {each.next} of {each.id.prefix}, where the ledger has another entry"
        for each in copy.chains
        if heads.get(each.id) != each
    ]
    said, found = dict(_units(copy)), dict(_units(true))
    return wrong + [
        f"of {'/'.join(unit)} it says something else than the ledger"
        for unit in sorted(said.keys() | found.keys())
        if said.get(unit) != found.get(unit)
    ]


def _units(copy: IndexCopy) -> Iterator[tuple[tuple[str, str, str, str], object]]:
    """By unit, in words that do not depend on the order in which chains were found."""
    for each in copy.units:
        yield each.unit, _comparable(each, copy.chains)


def _comparable(unit: UnitCopy, chains: tuple[ChainCopy, ...]) -> object:
    firsts = {chains[number].chain: body for number, body in unit.firsts.items()}
    return unit.objects, unit.records, unit.stored_bytes, firsts


def _is_so(said: UnitChainCopy, seen: UnitChain) -> bool:
    landed = {unit_of(unit): count for unit, count in said.landed}
    told = UnitChain(said.seq, frozenset(said.disposals), said.disposed, landed)
    return told == seen
