"""Takes one unit's disposal back, for whoever asks: the worker whose unit is not due any more, or a hold."""

from msgspec.structs import replace

from workers.retention import pending, unit_keys
from workers.retention.pending import RECALLABLE, Step, Stood
from workers.sealing.replicas import Replicas
from workers.store.port import Store
from workers.store.retry import Retry


async def recall(ledger: Store, rows: Replicas, stood: Stood, by: str, retry: Retry, now: int) -> bool:
    """The key is enabled again and the beginning forgotten. Raises Moved where a worker was faster.

    False where it is too late: the unit is being disposed of.
    """
    unit = stood.pending.unit
    if stood.pending.step in RECALLABLE:
        stood = await pending.step(ledger, stood, replace(stood.pending, step=Step.RECALLED, by=by), retry)
    if stood.pending.step is not Step.RECALLED:
        return False
    await unit_keys.enabled(rows, unit, retry, now)
    await pending.end(ledger, unit, retry)
    return True
