"""A partition's archive with records of keys that policy does not know yet, and stewards that replay them."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.runs import runs_of
from tests.unit.intake.making import (
    NOW,
    TODAY,
    Record,
    envelope,
    key_record,
    policy_of,
    workspace_record,
)
from tests.unit.ledger.world import MarkingKeys, MemoryLog, begin, done, flusher, retry
from workers.intake.batch import Batch
from workers.intake.dispositions import Clock
from workers.intake.policy import Policy
from workers.intake.sort import Sorter
from workers.ledger import live, unit_chain
from workers.ledger.flush import Flusher
from workers.ledger.head import Head
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.read import open_object
from workers.ledger.replay import Replay
from workers.ledger.unclaimed import unclaimed_unit
from workers.ledger.unit_entries import UnitEntry
from workers.sealing.keys import Unit
from workers.store.port import Store

UNCLAIMED = unclaimed_unit(TODAY)
SITE = Unit("acme", "site", TODAY, Clock.MAIN)
APPLIED = {"workspaces": (0,), "write-keys": (7,)}


def events(key: str, *ids: str) -> list[bytes]:
    return [envelope(key, event={"type": "track", "messageId": each}) for each in ids]


@dataclass
class World:
    """One bucket. `intake` is what the worker knows, `policy` what the stewards know."""

    store: Any
    now: int = NOW
    intake: Policy = field(default_factory=lambda: policy_of([key_record()], [workspace_record()]))
    policy: Policy = field(default_factory=lambda: policy_of([key_record()], [workspace_record()]))
    head: Head | None = None
    stale: bool = False

    async def archive(self, values: Sequence[bytes], at: int = NOW, committed_at: int | None = None) -> None:
        """A batch of these records, appended at that time."""
        head = self.head or await begin(self.store, MemoryLog())
        batch = Batch(head.next)
        records = [Record(value, head.next + number, at) for number, value in enumerate(values)]
        Sorter(self.intake).sort(runs_of(records), now=at, into=batch.sorting)
        batch.extend(head.next + len(records), len(records), uptime=0.0, oldest=at)
        writer = self.flusher(now=lambda: committed_at or at)
        self.head = (await writer.flush(head.chain, batch, done(head))).head

    def flusher(self, keys: MarkingKeys | None = None, now: Callable[[], int] | None = None) -> Flusher:
        made = flusher(self.store, keys=keys)
        return Flusher(
            **{name: getattr(made, name) for name in made.__slots__ if name != "now"},
            now=now or (lambda: self.now),
        )

    def steward(self, keys: MarkingKeys | None = None) -> Replay:
        keys = keys or MarkingKeys()
        return Replay(keys, self.flusher(keys), self.policy, lambda: self.stale, lambda: APPLIED, "steward-0")

    def register(self, *keys: bytes, workspaces: Iterable[bytes] = ()) -> None:
        for workspace in workspaces:
            self.policy.apply_workspace(workspace)
        for key in keys:
            self.policy.apply_write_key(key)

    async def ids(self, unit: Unit) -> Counter[str]:
        """Message ids of what is live in a unit, through the ledger alone."""
        store: Store = self.store
        there = [each async for each in IntakeObjects(store, store, retry()).of(unit)]
        found: Counter[str] = Counter()
        for each in (await live.unit(store, unit, there, retry())).objects.values():
            lines = await open_object(store, MarkingKeys(), each.stored, retry())
            for first, last in each.lines:
                found.update(json.loads(line)["event"]["messageId"] for line in lines[first : last + 1])
        return found

    async def entries(self, unit: Unit = UNCLAIMED) -> Sequence[UnitEntry]:
        return (await unit_chain.head(self.store, unit, retry())).entries
