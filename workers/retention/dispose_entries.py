"""Dispose entries: all of a unit that is live goes on record as disposed of, before its key is destroyed."""

import secrets
from collections.abc import Awaitable, Callable, Sequence

from workers.by import By
from workers.ledger import unit_chain
from workers.ledger.entries import Writer
from workers.ledger.live import Live, LiveObject
from workers.ledger.unit_chain import Draft, Taken, UnitHead
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.retention.pending import Pending
from workers.store.port import Store
from workers.store.retry import Retry

AT_ONCE = 10_000  # objects a dispose entry: a unit with more goes in several disposals, one behind the other


def goes(found: Live) -> bool:
    """Whether anything is left that no entry disposes of."""
    return bool(found.objects or found.spent or found.given_up)


class DisposeEntries:
    """`live`: of the unit whose own chain ends at a head. Times are ms since the epoch."""

    def __init__(
        self,
        ledger: Store,
        live: Callable[[UnitHead], Awaitable[Live]],
        writer: Writer,
        host: str,
        retry: Retry,
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._live = live
        self._writer = writer
        self._host = host
        self._retry = retry
        self._now = now

    async def write(self, found: Live, begun: Pending) -> UnitHead:
        """For all that was live in `found`, or is where another entry came before ours; returns the last.

        Of a unit that was discarded whole: for what was given up, which stays until then.
        """
        while True:
            try:
                return await self._write_all(found, begun)
            except Taken as taken:  # whatever it was, what is live now is to go
                found = await self._live(taken.head)

    async def _write_all(self, found: Live, begun: Pending) -> UnitHead:
        """One behind the other: what is live is not folded again for each. Raises Taken."""
        named = [(each, each.left) for each in found.objects.values()]
        named += [(each, 0) for each in found.spent.values()]
        named = named or [(each, 0) for each in found.given_up]
        head = found.head
        for at in range(0, len(named), AT_ONCE):
            draft = self._draft(named[at : at + AT_ONCE], begun)
            head = await unit_chain.append(self._ledger, head, draft, self._retry)
        return head

    def _draft(self, named: Sequence[tuple[LiveObject, int]], begun: Pending) -> Draft:
        consumed = tuple(Consumed(each.stored.key, None, count) for each, count in named)
        records = sum(each.count for each in consumed)
        return Draft(
            Kind.DISPOSE,
            secrets.token_hex(8),
            self._writer,
            By(self._writer.id, self._host, f"{begun.reason}: {begun.words}", self._now()),
            {} if begun.policy is None else {"workspaces": begun.policy},
            consumed,
            {Became.DISPOSED: {begun.reason: records}},
        )
