"""What may not be sealed, wrapped, named or used at all, and which keys open nothing any more."""

from collections.abc import Mapping

from tests.contract.keystore.world import NOW, UNIT, Uptime
from tests.unit.sealing.cases import BODY, METADATA, OBJECT, opener, refused
from workers.sealing.format import METADATA_MAX, PLAIN_MAX, hkdf_expand, seal, size_of
from workers.sealing.keys import Level, Secret, WrappingKey, canonical, context_of, new_key, service_context
from workers.sealing.rows import UnitRow, WorkspaceRow, named, unit_row
from workers.sealing.unit_key import Lease, UnitKey
from workers.sealing.workspaces import usable

NAME = "data/one"


class Huge(bytes):
    """More than one object may hold, if it is asked."""

    def __len__(self) -> int:
        return PLAIN_MAX + 1


def sealed(
    plain: bytes = b"x", *, dek: int = 32, msgid: int = 28, context: Mapping[str, str] | None = None
) -> None:
    seal(plain, dek=bytes(dek), msgid=bytes(msgid), wrapped=bytes(87), context=context or {"object": NAME})


for length in (0, 16, 31, 33):

    @refused(f"sealing: under a data key of {length} bytes", "ValueError")
    async def short_data_key(length: int = length) -> None:
        sealed(dek=length)


for length in (0, 27, 29):

    @refused(f"sealing: with a message id of {length} bytes", "ValueError")
    async def short_message_id(length: int = length) -> None:
        sealed(msgid=length)


@refused("sealing: more than one object may hold", "TooLarge")
async def too_large() -> None:
    sealed(Huge())


@refused("sealing: with the suite's own pair in the context", "MalformedContext")
async def own_pair() -> None:
    sealed(context={"aws:x-amz-cek-alg": "114"})


for text in ("donn\u00e9es", "a\nb", "a\x7f"):

    @refused(f"sealing: under the name {text!r}", "MalformedContext")
    async def unprintable(text: str = text) -> None:
        sealed(context={"object": text})


@refused("sealing: a byte more of metadata than we store", "MalformedContext")
async def long_metadata() -> None:
    key = UnitKey(UNIT, new_key(), generation=1, durable=True, lease=Lease(float("inf")))
    fits = METADATA_MAX - size_of(key.seal(b"", "").metadata)
    key.seal(b"", "o" * fits)
    key.seal(b"", "o" * (fits + 1))


@refused("deriving: more than one round gives", "ValueError")
async def two_rounds() -> None:
    hkdf_expand(bytes(64), b"info", 65)


def wrapping(key: Secret | None = None) -> WrappingKey:
    return WrappingKey(key or new_key(), Level.DATA, workspace="acme", day="2026-11-25", generation=1)


for length in (0, 16, 24, 31, 33, 64):

    @refused(f"wrapping: under a key of {length} bytes", "MalformedKey")
    async def wrapping_key_length(length: int = length) -> None:
        WrappingKey(Secret(length), Level.DATA, workspace="acme", day="2026-11-25", generation=1)


for text in ("donn\u00e9es", "a\x00", "x" * 65536):

    @refused(f"wrapping: under the context {text[:9]!r} of {len(text)} characters", "MalformedContext")
    async def wrapping_context(text: str = text) -> None:
        canonical({"object": text})


@refused("wrapping: a data key asked for as another object's", "WrongKey")
async def other_context() -> None:
    key = wrapping()
    blob = key.wrap(new_key(), service_context(context_of(UNIT, NAME)))
    key.unwrap(blob, service_context(context_of(UNIT, "data/two")))


@refused("wrapping: a key that another one wrapped", "WrongKey")
async def other_wrapping() -> None:
    context = service_context(context_of(UNIT, NAME))
    wrapping().unwrap(wrapping().wrap(new_key(), context), context)


@refused("opening: with the key of no unit", "WrongKey")
async def zeros() -> None:
    UnitKey(UNIT, Secret(32), generation=1, durable=True, lease=Lease(float("inf"))).open(
        BODY, METADATA, OBJECT
    )


@refused("key's life: over, to open", "KeyExpired")
async def expired_opens() -> None:
    key = opener()
    key.expire()
    key.open(BODY, METADATA, OBJECT)


@refused("key's life: over, to seal", "KeyExpired")
async def expired_seals() -> None:
    key = opener()
    key.expire()
    key.seal(b"x", NAME)


@refused("key's life: over by the clock", "KeyExpired")
async def expired_by_the_clock() -> None:
    clock = Uptime()
    key = UnitKey(UNIT, new_key(), generation=1, durable=True, lease=Lease(clock.now + 1), clock=clock)
    key.check()
    clock.now += 1.001
    key.check()


@refused("key's life: detached, and its lease prolonged for others", "KeyExpired")
async def detached() -> None:
    clock = Uptime()
    lease = Lease(clock.now + 1)
    key = UnitKey(UNIT, new_key(), generation=1, durable=True, lease=lease, clock=clock)
    key.detach()
    lease.until += 100
    clock.now += 2
    key.check()


@refused("sealing: under a key that may be in one bucket only", "ValueError")
async def not_durable() -> None:
    UnitKey(UNIT, new_key(), generation=1, durable=False, lease=Lease(float("inf"))).seal(b"x", NAME)


for name in ("", "keys/v1/ws=a/l1.json.bak", "keys/v1/ws=a/../b/l1.json", "data/ws=a"):

    @refused(f"row's name: {name!r}", "Poison")
    async def no_row(name: str = name) -> None:
        named(name)


@refused("row's name: of no clock", "Poison")
async def no_clock() -> None:
    named("keys/v1/ws=a/src=b/day=2026-11-25/clock=x.json")


@refused("row: a workspace's where a unit's is meant", "Fatal")
async def other_kind() -> None:
    row = WorkspaceRow(workspace="acme", changed_at=NOW, current=1, keys=())
    usable(row, unit_row(UNIT), WorkspaceRow)
    usable(row, unit_row(UNIT), UnitRow)
