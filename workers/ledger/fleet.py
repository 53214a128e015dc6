"""fleet.json: which root keys, Kafka cluster and group this ledger belongs to, fixed by the first worker.

A worker with other root keys would seal what nobody can open; one on another cluster would continue the
chains of a different log. Both refuse to start. Only the root keys ever change, by `change_roots`.
"""

from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from workers.errors import Fatal
from workers.ledger.chain import append, read
from workers.ledger.names import FLEET
from workers.store.port import IfMatch, NotFound, PreconditionFailed, Store, Unavailable
from workers.store.retry import Retry

GIVE_ROOTS = "STRONGROOM_ROOT_KEY_FILE and STRONGROOM_KMS_KEYS name them"


class Fleet(msgspec.Struct, frozen=True):
    root_key: str  # the fingerprint of one of its root keys; of the only one in files without `roots`
    cluster_id: str  # Kafka's
    group: str  # consumer group
    format: int = 1
    roots: tuple[str, ...] = ()  # the fingerprints of all of them

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return self.roots or (self.root_key,)


def of(roots: Sequence[str], cluster_id: str, group: str) -> Fleet:
    """`roots`: fingerprints."""
    return Fleet(roots[0], cluster_id, group, roots=tuple(sorted(roots)))


MEANING = {
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


def check_place(stored: Fleet, cluster_id: str, group: str, where: str) -> None:
    """All of `check` that needs no root key. Raises Fatal for the first thing that differs."""
    mine = Fleet(stored.root_key, cluster_id, group)
    for field, (meaning, remedy) in MEANING.items():
        theirs, ours = getattr(stored, field), getattr(mine, field)
        if theirs != ours:
            raise Fatal(f"{where} was begun with {meaning} {theirs}, this is {ours}", remedy=remedy)


def check(stored: Fleet, mine: Fleet, where: str) -> None:
    """Raises Fatal that names the first thing that differs and keeps a worker from belonging to the fleet."""
    check_place(stored, mine.cluster_id, mine.group, where)
    check_readable(stored, mine.fingerprints, where)
    if missing := [root for root in stored.fingerprints if root not in mine.fingerprints]:
        raise Fatal(
            f"{where} has root key {', '.join(missing)}, which this worker lacks: "
            "keys that it made could not be opened by it",
            remedy=f"Give it all root keys of the fleet: {GIVE_ROOTS}",
        )


def check_readable(stored: Fleet, held: Collection[str], where: str) -> None:
    """For somebody who only opens. Raises Fatal if no root key is shared."""
    if set(held).isdisjoint(stored.fingerprints):
        raise Fatal(
            f"{where} has root key {', '.join(stored.fingerprints)}, this is {', '.join(held)}",
            remedy=f"Give the root key of this ledger: {GIVE_ROOTS}",
        )


def surplus(stored: Fleet, held: Collection[str]) -> list[str]:
    """Root keys that the fleet does not know: they wrap what is made here, and not what others make."""
    return [root for root in held if root not in stored.fingerprints]


async def enroll(store: Store, mine: Fleet, retry: Retry) -> Fleet:
    """The stored fleet.json, which is `mine` if this is the first; raises Fatal on a mismatch."""
    body = msgspec.json.encode(mine, order="sorted")
    appended = await append(store, FLEET, body, ours=lambda winner: winner == body, retry=retry)
    stored = decode(appended.body, _where(store))
    check(stored, mine, _where(store))
    return stored


async def stored_fleet(store: Store, retry: Retry) -> Fleet | None:
    """None where no worker has enrolled yet."""
    body = await read(store, FLEET, retry)
    return None if body is None else decode(body, _where(store))


async def change_roots(store: Store, fingerprints: Sequence[str], retry: Retry) -> Fleet:
    """From now on the fleet's root keys are these. Call it when every workspace's key is wrapped by each.

    Workers that lack one of them no longer start. Raises Fatal where there is no fleet.json.
    """

    async def attempt() -> Fleet:
        try:
            got = await store.get(FLEET)
        except NotFound:
            raise Fatal(
                f"{_where(store)} is not there",
                remedy="Restore it from its versions, or start a worker first",
            ) from None
        stored = decode(got.body, _where(store))
        first = stored.root_key if stored.root_key in fingerprints else fingerprints[0]
        wanted = replace(stored, root_key=first, roots=tuple(sorted(fingerprints)))
        if wanted != stored:
            try:
                await store.put(
                    FLEET, msgspec.json.encode(wanted, order="sorted"), condition=IfMatch(got.etag)
                )
            except PreconditionFailed:  # another's change, or ours whose response was lost: look again
                raise Unavailable(f"{_where(store)} was changed meanwhile") from None
        return wanted

    return await retry.call(attempt)


def _where(store: Store) -> str:
    return f"{store.name}/{FLEET}"
