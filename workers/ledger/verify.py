"""Proves the archive from the buckets alone, as an outside auditor would: no Kafka, no writer's word.

Each thing that is wrong becomes a finding with a stable kind (verify_report.py); checking goes on behind it.
Memory is bounded by `readers`, BYTES_AT_ONCE, the number of intake chains and the longest unit chain, not by
entries, objects or records; opening objects (`deep`) adds all write keys of the policy chains.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from typing import NamedTuple

from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.verify_chains import Chains
from workers.ledger.verify_deep import Owner
from workers.ledger.verify_keys import KeyRows, check_fleet
from workers.ledger.verify_objects import Deep, Keys, Objects
from workers.ledger.verify_policy import PolicyAudit
from workers.ledger.verify_report import Report
from workers.ledger.verify_state import Progress, StateFile
from workers.ledger.verify_tails import Sources, Tails
from workers.ledger.verify_units import UnitAudit
from workers.ledger.verify_unlisted import Unlisted
from workers.ledger.walk import ROOT
from workers.sealing.replicas import Replicas
from workers.store.port import Store
from workers.store.retry import Retry

READERS = 16


class Opening(NamedTuple):
    """What opens objects."""

    keys: Keys
    roots: Collection[str]  # fingerprints of the root keys


class Verifier:
    """One pass over policy chains, ledger, unit chains and data.

    `progress(report)` is called after each entry of the ledger.
    `keystore`: whose rows are checked, with fleet.json; without it, neither is. `opening`: objects are opened
    and recounted. `state`: where the pass is kept while it runs; it goes on from there. `checkpoints`: held
    against the chains; `from_checkpoints`: each chain that has one is read from its newest one on.
    """

    def __init__(
        self,
        ledger: Store,
        data: Store,
        retry: Retry,
        *,
        keystore: Replicas | None = None,
        opening: Opening | None = None,
        readers: int = READERS,
        threads: Executor | None = None,
        state: StateFile | None = None,
        checkpoints: Sources | None = None,
        from_checkpoints: bool = False,
        progress: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self._ledger, self._data, self._retry = ledger, data, retry
        self._keystore, self._opening = keystore, opening
        self._readers, self._threads = readers, threads
        self._state, self._told = state, progress
        self._checkpoints, self._from_checkpoints = checkpoints, from_checkpoints

    async def run(self) -> Report:
        """Raises Retryable where a bucket stays away, Fatal for another root key or another audit's state.

        Stopped by either, or cancelled, it leaves its state.
        """
        progress = self._state.load(self._name) if self._state else Progress(self._name)
        try:
            report = await self._run(progress)
        except BaseException:
            if self._state:
                self._state.save(progress)
            raise
        if self._state:
            self._state.remove()
        return report

    async def _run(self, progress: Progress) -> Report:
        owners: dict[str, Owner] = {}
        # each time anew: what objects hold is judged by it
        progress.policy = Report()
        rows = await self._rows(progress.policy)
        # before the ledger: what is vouched for by then must be there
        tails = Tails((), start=False)
        if self._checkpoints is not None:
            tails = await Tails.gathered(
                self._checkpoints, self._retry, progress.policy, start=self._from_checkpoints
            )
        deep = Deep(self._opening.keys, owners) if self._opening else None
        await PolicyAudit(
            self._ledger,
            self._retry,
            progress.policy,
            ahead=self._readers,
            owners=owners if deep else None,
        ).run()
        objects = Objects(
            self._ledger,
            self._data,
            self._retry,
            readers=self._readers,
            rows=rows,
            deep=deep,
            threads=self._threads,
        )
        if not progress.ledger_done:
            await Chains(
                self._ledger,
                self._retry,
                objects,
                progress,
                self._state,
                ahead=2 * self._readers,
                told=self._told,
                tails=tails,
            ).run()
            progress.ledger_done = True
        await tails.check(self._ledger, self._retry, progress.policy)
        if not progress.units_done:
            intake = IntakeObjects(self._ledger, self._data, self._retry)
            await UnitAudit(
                self._ledger, self._retry, objects, intake, progress, self._state, ahead=self._readers
            ).run()
            progress.units_done = True
        await Unlisted(self._ledger, self._data, self._retry, progress, self._state).run()
        report = progress.report()
        report.orphans = max(progress.listed - report.objects, 0)
        report.beyond_head = min(progress.beyond_head, report.orphans)
        return report

    async def _rows(self, report: Report) -> KeyRows | None:
        if self._keystore is None:
            return None
        if await self._has_ledger():
            roots = self._opening.roots if self._opening else None
            await check_fleet(self._ledger, roots, self._retry, report)
        rows = KeyRows(self._keystore, self._retry)
        return rows if await rows.readable(report) else None

    async def _has_ledger(self) -> bool:
        async def attempt() -> bool:
            return bool([stat async for stat in self._ledger.list(ROOT, limit=1)])

        return await self._retry.call(attempt)

    @property
    def _name(self) -> str:
        how = "objects opened" if self._opening else "objects read"
        where = ", from checkpoints" if self._from_checkpoints else ""
        return f"ledger {self._ledger.name}, data {self._data.name}, {how}{where}"
