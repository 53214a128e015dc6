"""Whether a key is gone, as a certificate says: in every bucket of the keystore, in every version there."""

from workers.errors import Fatal
from workers.ledger.verify_listing import Listing
from workers.sealing.replicas import Replicas
from workers.sealing.rows import State
from workers.store.retry import Retry


async def left(rows: Replicas, name: str, retry: Retry) -> list[str]:
    """What is left of the key whose row has this name, in words. Requests: two a bucket."""
    try:
        copies = await retry.call(lambda: rows.copies(name))
    except Fatal as error:
        return [error.message]
    found = []
    if any(row is None or row.state is not State.TOMBSTONE for row in copies):
        found.append(f"{name} is no tombstone: the key is still there, or was never destroyed")
    for store in rows.stores:
        async for each in Listing(store, name, retry):
            if each.key == name and each.versions > 1:
                found.append(f"{store.name} has {each.versions - 1} older versions of {name}")
    return found
