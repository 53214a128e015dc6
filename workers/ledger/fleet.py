"""fleet.json: which root key, Kafka cluster and group this ledger belongs to, fixed by the first worker.

A worker with another root key would seal what nobody can open; one on another cluster would continue the
chains of a different log. Both refuse to start.
"""

import msgspec

from workers.errors import Fatal
from workers.ledger.chain import append, read
from workers.ledger.names import FLEET
from workers.store.port import Store
from workers.store.retry import Retry


class Fleet(msgspec.Struct, frozen=True):
    root_key: str  # the root key's fingerprint
    cluster_id: str  # Kafka's
    group: str  # consumer group
    format: int = 1


MEANING = {
    "root_key": (
        "root key",
        "Give the worker the root key that this ledger was begun with (STRONGROOM_ROOT_KEY_FILE)",
    ),
    "cluster_id": (
        "Kafka cluster",
        "Point STRONGROOM_KAFKA_BOOTSTRAP at that cluster, or use another ledger bucket",
    ),
    "group": ("consumer group", "Set STRONGROOM_GROUP to it, or use another ledger bucket"),
    "format": ("format", "Use the version of Strongroom that wrote it"),
}


def decode(body: bytes, where: str) -> Fleet:
    try:
        return msgspec.json.decode(body, type=Fleet)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Fatal(f"{where} is no fleet file: {error}", remedy="Restore it from its versions") from None


def check(stored: Fleet, mine: Fleet, where: str) -> None:
    """Raises Fatal that names the first thing that differs."""
    for field, (meaning, remedy) in MEANING.items():
        theirs, ours = getattr(stored, field), getattr(mine, field)
        if theirs != ours:
            raise Fatal(f"{where} was begun with {meaning} {theirs}, this is {ours}", remedy=remedy)


async def enroll(store: Store, mine: Fleet, retry: Retry) -> None:
    """Writes fleet.json if it is the first; raises Fatal on a mismatch."""
    body = msgspec.json.encode(mine, order="sorted")
    stored = await append(store, FLEET, body, ours=lambda winner: winner == body, retry=retry)
    check(decode(stored.body, f"{store.name}/{FLEET}"), mine, f"{store.name}/{FLEET}")


async def stored_fleet(store: Store, retry: Retry) -> Fleet | None:
    """None where no worker has enrolled yet."""
    body = await read(store, FLEET, retry)
    return None if body is None else decode(body, f"{store.name}/{FLEET}")
