"""What a shredding takes from readers is counted by what they are shown: moved records once, others not."""

from tests.unit.ledger.chained import ACME, BETA, chained
from tests.unit.ledger.world import retry
from workers.ledger.shown import Selection, Showing
from workers.sealing.key_loss import KeyLoss
from workers.sealing.rows import unit_row
from workers.store.memory import MemoryStore


async def test_only_what_is_live_is_lost_with_a_key() -> None:
    archive = await chained(MemoryStore())
    loss = KeyLoss([unit_row(ACME)])
    assert loss.workspaces == ["acme"]
    for workspace in ("acme", "beta"):
        async for shown in Showing(archive.store, Selection(workspace), retry()).all():
            loss.count(shown.stored, shown.records)
    assert (loss.objects, loss.records) == (3, 2 + 4 + 8)
    assert loss.days == {BETA.day}
