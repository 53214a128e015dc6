"""Keys that sign, and a steward's pass, for tests of checkpoints."""

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from tests.unit.ledger.world import WRITER, retry
from workers.ledger import checkpoint as checkpoints
from workers.ledger.checkpoint import Checkpoint, Vouched
from workers.ledger.checkpointing import Checkpointer, Pass
from workers.ledger.names import ChainId
from workers.sealing.signing import Signer
from workers.store.port import Store

SIGNER, OTHER = (Signer(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)) for number in (1, 2))


def checkpointer(*stores: Store, signer: Signer = SIGNER, every: int = 1000) -> Checkpointer:
    return Checkpointer(stores, signer, SIGNER.trust, WRITER, retry(), every=every, now=lambda: 7)


async def checkpointed(*stores: Store, **more: Any) -> Pass:
    return await checkpointer(*stores, **more).run_pass()


async def newest(store: Store, chain: ChainId) -> Vouched:
    found = await checkpoints.newest(store, chain, SIGNER.trust, retry(), [])
    assert found is not None
    return found


async def said(stores: Sequence[Store], like: Checkpoint, signer: Signer = SIGNER, **other: Any) -> str:
    """Puts a signed checkpoint that says other things, under the name that fits it."""
    made = replace(like, **other)
    key = checkpoints.key_of(made.chain, made.first)
    for store in stores:
        await store.put(key, checkpoints.signed(made, signer))
    return key
