"""Replays unclaimed records: once policy knows a write key, its records go where they belong, once each.

What they become is planned (replay_plan.py), the outputs are sent, and one `replay` entry of the unit's
chain consumes the records: whoever comes second finds the place taken, and plans again from what is left. So
a crash anywhere leaves outputs that nobody lists, and nothing else (docs/policy.md, Unknown keys).
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from workers.by import By
from workers.errors import Fatal, StrongroomError
from workers.intake.dispositions import Group
from workers.intake.policy import Policy
from workers.intake.sort import Sorter
from workers.ledger import unit_chain
from workers.ledger.flush import Flusher, KeyWithdrawn
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.live import Live
from workers.ledger.names import unit_output
from workers.ledger.read import Keys
from workers.ledger.replay_plan import Opened, Owner, Place, Plan, appended_by, decidable, plan
from workers.ledger.unclaimed import Reading, UnclaimedUnit, Withdrawn, days, hashed, unclaimed_unit
from workers.ledger.unit_chain import Draft, Taken
from workers.ledger.unit_entries import Became, Kind

log = structlog.get_logger()

INPUT_BYTES = 64 * 1024 * 1024  # plain bytes of the objects that one entry consumes from; one object at least
ACTOR, WHY = "steward", "write keys became known"


@dataclass
class Pass:
    """What one pass found and did. `objects`, `records` and `bytes` (plain) are live and unclaimed."""

    objects: int = 0
    records: int = 0
    bytes: int = 0
    due: int = 0  # objects that are left with records of known keys
    entries: int = 0
    replayed: Counter[tuple[Became, str]] = field(default_factory=Counter)  # (what, reason) → records
    failed: int = 0  # records that a rule failed on: they stay where they are
    broken: dict[str, str] = field(default_factory=dict)  # object or unit → what is wrong with it

    def tell(self, what: str, error: StrongroomError) -> None:
        self.broken[what] = error.message
        log.error("replay_broken", what=what, error=error.message, remedy=error.remedy)


class Replay:
    """`keys` opens, `flusher` has what is written with; `stale`: the policy is too old to decide by.

    Used on the thread that applies changes to `policy`, whose versions `versions` tells. Memory: a kilobyte
    an unclaimed object and four bytes a key in it, and an entry's input in plain, packed and sealed form.
    """

    def __init__(
        self,
        keys: Keys,
        flusher: Flusher,
        policy: Policy,
        stale: Callable[[], bool],
        versions: Callable[[], Mapping[str, tuple[int, ...]]],
        host: str,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._flusher = flusher
        self._policy = policy
        self._stale, self._versions = stale, versions
        self._host = host
        self._found = Pass()
        self._reading = Reading(flusher.ledger, flusher.data, keys, flusher.retry, policy, self._broken, step)
        self._units: dict[str, UnclaimedUnit] = {}  # by day
        self._touched: set[str] = set()  # keys that changed, until the rules can decide about them
        self._sorter = Sorter(policy)
        policy.follow(self._touched.add, lambda workspace: None)

    async def run_pass(self) -> Pass:
        """Looks at every unclaimed unit, and replays what can be."""
        found = self._found = Pass()
        ready = {key for key in self._touched if decidable(self._policy, key)}
        self._touched -= ready
        hashes = {hashed(key) for key in ready}
        today = days(self._flusher.now())
        self._units = {
            day: self._units.get(day) or UnclaimedUnit(unclaimed_unit(day), self._reading) for day in today
        }
        for unit in self._units.values():
            unit.appeared(hashes)
        objects = IntakeObjects(self._flusher.ledger, self._flusher.data, self._flusher.retry)
        for day, unit in self._units.items():
            try:
                await unit.look(objects)
                await self._replay(unit)
            except Fatal as error:
                found.tell(day, error)
            except Withdrawn as error:  # by a clock that is not ours it is past its time
                log.warning("replay_withdrawn", unit="/".join(unit.unit), why=error.message)
            found.objects += len(unit.live)
            found.records += unit.records
            found.bytes += unit.plain_bytes
            found.due += len(unit.due)
            self._reading.step()
        return found

    def _broken(self, what: str, error: StrongroomError) -> None:
        self._found.tell(what, error)

    async def _replay(self, unit: UnclaimedUnit) -> None:
        """Until nothing is due, or policy is too old. What can't be read or sealed stays due."""
        if not unit.due or self._stale():
            return
        now = await unit.refresh()
        for batch in _batches(unit):
            barred: frozenset[Owner] = frozenset()
            failed: set[Place] = set()
            left = True
            while left:
                opened = await self._open(unit, batch)
                if self._stale():
                    return
                planned = plan(opened, self._policy, self._sorter, self._flusher.now(), barred, failed)
                left = planned.more
                try:
                    if planned.consumed:
                        now = await self._commit(unit, now, planned)
                except Taken as taken:
                    now, left = unit.behind(taken.head), True
                except KeyWithdrawn as error:
                    barred |= {(error.unit.workspace, error.unit.source)}
                    left = True
                    log.warning("replay_barred", unit="/".join(error.unit), why=error.message)
                else:
                    failed |= planned.failed
            self._found.failed += len(failed)
            for each in opened:
                if not barred:
                    unit.due.pop(each.key, None)

    async def _open(self, unit: UnclaimedUnit, batch: list[str]) -> list[Opened]:
        opened = []
        for name in batch:
            if name in unit.live and (lines := await unit.open(name)):
                appended = appended_by(unit.unit.day, await unit.committed_at(name))
                opened.append(Opened(name, appended, lines))
        return opened

    async def _commit(self, unit: UnclaimedUnit, now: Live, planned: Plan) -> Live:
        """Sends the outputs, then the entry. Raises Taken, or KeyWithdrawn before anything is committed."""
        flusher, attempt, seq = self._flusher, secrets.token_hex(8), now.head.seq + 1

        def name(number: int, group: Group) -> str:
            return unit_output(group, unit.unit, seq, number, attempt, flusher.packer.suffix)

        uploads = await flusher.upload(planned.groups, name)
        await flusher.check(uploads)
        draft = Draft(
            kind=Kind.REPLAY,
            attempt=attempt,
            writer=flusher.writer,
            by=By(ACTOR, self._host, WHY, flusher.now()),
            policy=self._versions(),
            consumed=planned.consumed,
            counts=planned.counts,
            outputs=tuple(upload.stored for upload in uploads),
        )
        head = await unit_chain.append(flusher.ledger, now.head, draft, flusher.retry)
        self._reading.step()
        self._found.entries += 1
        for became, reasons in planned.counts.items():
            for reason, count in reasons.items():
                self._found.replayed[became, reason] += count
        return unit.behind(head)


def _batches(unit: UnclaimedUnit) -> Iterator[list[str]]:
    """The due objects, as many at a time as INPUT_BYTES allows."""
    batch: list[str] = []
    size = 0
    for name in list(unit.due):
        if name not in unit.live:
            continue
        more = unit.live[name].stored.plain_bytes
        if batch and size + more > INPUT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += more
    if batch:
        yield batch
