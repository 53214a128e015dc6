"""What a hold, or a longer term, does to disposals that are under way: takes back what can be, and says so.

To be called once it is in the policy chain. A worker that begins afterwards sees it there; one that
began before has its beginning on record here, and its next step fails (pending.py). So a hold needs no word
from any worker, of one that was killed or sleeps neither.
"""

from collections.abc import Callable
from typing import NamedTuple

from topics.workspaces import Workspace
from workers.retention import closing, names, pending
from workers.retention.due import PolicyView, judge, judge_closing
from workers.retention.pending import Moved
from workers.retention.recall import recall
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.store.port import Store
from workers.store.retry import Retry


class Recalled(NamedTuple):
    """`too_late`: their disposal could not be taken back any more; `key_too_late`: nor that of the key of the
    closed workspace itself."""

    units: tuple[Unit, ...]
    too_late: tuple[Unit, ...]
    key_too_late: bool = False


async def recall_all(
    ledger: Store, rows: Replicas, workspace: str, by: str, retry: Retry, now: int
) -> Recalled:
    """Of one workspace. May be called again. Requests: one list, and a few a unit."""
    recalled = await _recall(ledger, rows, workspace, lambda unit: True, by, retry, now)
    return recalled._replace(key_too_late=not await closing.recall_standing(ledger, workspace, by, retry))


async def recall_kept(
    ledger: Store, rows: Replicas, stands: Workspace, by: str, retry: Retry, now: int
) -> Recalled:
    """As `recall_all`, of what is not due by the workspace's record as it stands now in the chain."""
    view = PolicyView({stands.id: stands})

    def is_kept(unit: Unit) -> bool:
        return not judge(unit, view, now).due

    recalled = await _recall(ledger, rows, stands.id, is_kept, by, retry, now)
    if judge_closing(stands.id, view, now).due:
        return recalled
    return recalled._replace(key_too_late=not await closing.recall_standing(ledger, stands.id, by, retry))


async def _recall(
    ledger: Store,
    rows: Replicas,
    workspace: str,
    is_kept: Callable[[Unit], bool],
    by: str,
    retry: Retry,
    now: int,
) -> Recalled:
    recalled: list[Unit] = []
    too_late: list[Unit] = []
    async for stood in pending.under_way(ledger, retry, names.pending_of(workspace)):
        unit = stood.pending.unit
        if not is_kept(unit):
            continue
        taken_back = await _recall_one(ledger, rows, unit, by, retry, now)
        if taken_back is not None:
            (recalled if taken_back else too_late).append(unit)
    return Recalled(tuple(recalled), tuple(too_late))


async def _recall_one(
    ledger: Store, rows: Replicas, unit: Unit, by: str, retry: Retry, now: int
) -> bool | None:
    """False: it is too late. None: nothing is under way any more."""
    while (stood := await pending.read(ledger, unit, retry)) is not None:
        try:
            return await recall(ledger, rows, stood, by, retry, now)
        except Moved:
            continue  # a worker took a step: with the hold it can take one at most
    return None
