"""What became of a demo's records, by the ledger; and whether that is what had to become of them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from workers.embedded.plan import Counts
from workers.intake.dispositions import Disposition
from workers.ledger.entries import StoredObject
from workers.ledger.names import ChainId
from workers.ledger.walk import chains, walk
from workers.store.port import Store
from workers.store.retry import Retry


@dataclass
class Outcome:
    """Folded from every entry of the ledger."""

    entries: int = 0
    heads: dict[int, int] = field(default_factory=dict)  # partition → offset after the last archived one
    reasons: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by disposition
    stored: dict[str, list[StoredObject]] = field(default_factory=lambda: defaultdict(list))  # by workspace

    def records(self, workspace: str, disposition: str) -> int:
        """Of what is stored."""
        return sum(each.records for each in self.stored[workspace] if each.disposition == disposition)

    @property
    def total(self) -> int:
        return sum(reasons.total() for reasons in self.reasons.values())


async def fold(ledger: Store, retry: Retry) -> Outcome:
    outcome = Outcome()
    async for chain in chains(ledger, retry):
        await _fold_chain(ledger, chain, retry, outcome)
    return outcome


async def _fold_chain(ledger: Store, chain: ChainId, retry: Retry, outcome: Outcome) -> None:
    async for entry in walk(ledger, chain, retry):
        outcome.entries += 1
        outcome.heads[chain.partition] = entry.next
        for disposition, reasons in entry.counts.items():
            outcome.reasons[disposition].update(reasons)
        for stored in entry.objects:
            outcome.stored[stored.workspace].append(stored)


def differences(outcome: Outcome, expected: Counts) -> Iterator[str]:
    """What is not as it must be, in words.

    The ledger does not say whose the rejected records were: these are compared by their reasons alone.
    """
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for workspace, dispositions in expected.items():
        for disposition, wanted in dispositions.items():
            reasons[disposition].update(wanted)
            if disposition != Disposition.REJECTED:
                found = outcome.records(workspace, disposition)
                if found != sum(wanted.values()):
                    yield f"{workspace}: {found} records {disposition}, expected were {sum(wanted.values())}"
    for disposition in sorted(reasons | outcome.reasons):
        if reasons[disposition] != outcome.reasons[disposition]:
            yield (
                f"{disposition}: {_words(outcome.reasons[disposition])}; expected were "
                f"{_words(reasons[disposition])}"
            )


def _words(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())) or "nothing"
