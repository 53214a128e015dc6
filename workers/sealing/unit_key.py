"""A unit's key at work: seals and opens the unit's objects, for as long as the keystore vouches for it."""

import secrets
import time
from collections.abc import Callable, Mapping

from workers.sealing.format import MSGID_BYTES, Sealed, open_sealed, parse_header, seal
from workers.sealing.keys import Level, Secret, Unit, WrappingKey, context_of, new_key, service_context
from workers.sealing.refusals import KeyExpired

# time that passes while a machine is suspended counts too; where the name is missing, MONOTONIC counts it
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Seconds."""
    return time.clock_gettime(_CLOCK)


class Lease:
    """Until when (uptime) cached keys may be used without another word from the tombstone log."""

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until


class UnitKey:
    """Safe to share between threads. `seal`, `open` and `unwrap` are CPU work only.

    All four methods raise KeyExpired once the key's life has passed without a validation, or after it was
    withdrawn: ask the keystore again, which says what became of it.
    """

    __slots__ = ("_clock", "_lease", "_wrapping", "durable", "unit")

    def __init__(
        self,
        unit: Unit,
        key: Secret,
        *,
        generation: int,
        durable: bool,
        lease: Lease,
        clock: Callable[[], float] = uptime,
    ) -> None:
        self.unit = unit
        self.durable = durable  # its row is in every bucket: only then may anything be sealed under it
        self._wrapping = WrappingKey(
            key, Level.DATA, workspace=unit.workspace, day=unit.day, generation=generation
        )
        self._lease = lease
        self._clock = clock

    def __repr__(self) -> str:
        return f"UnitKey({'/'.join(self.unit)}, generation {self.generation})"

    @property
    def generation(self) -> int:
        return self._wrapping.generation

    def check(self) -> None:
        """For a caller about to commit what it sealed a while ago (docs/architecture.md, Withdrawn keys)."""
        if self._clock() > self._lease.until:
            raise KeyExpired(
                f"the key of {'/'.join(self.unit)} was withdrawn or not validated within its life",
                remedy="It is asked for again; if this lasts, see whether the keystore bucket can be reached",
            )

    def seal(self, plain: bytes | bytearray | memoryview, object_key: str) -> Sealed:
        """Seals under a fresh data key. Raises TooLarge or MalformedContext besides."""
        self.check()
        if not self.durable:
            raise ValueError("this key was asked for to open, without create: it may be in one bucket only")
        context = context_of(self.unit, object_key)
        dek = new_key()
        return seal(
            plain,
            dek=dek,
            msgid=secrets.token_bytes(MSGID_BYTES),
            wrapped=self._wrapping.wrap(dek, service_context(context)),
            context=context,
        )

    def open(
        self, body: bytes | bytearray | memoryview, metadata: Mapping[str, str], object_key: str
    ) -> bytes:
        """The plaintext of the object that is to be `object_key` of this unit. Raises a Refused otherwise."""
        self.check()
        header = parse_header(metadata)
        header.require(context_of(self.unit, object_key))
        return open_sealed(body, header, self._wrapping.unwrap(header.wrapped, header.context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> Secret:
        """The data key in `blob`, for the key service. `context` has the suite's pair (keys.service_context).

        Raises MalformedKey, ForeignKey, WrongKey or MalformedContext besides.
        """
        self.check()
        return self._wrapping.unwrap(blob, context)

    def expire(self) -> None:
        """Withdraws the key from whoever holds it."""
        self._lease = Lease(float("-inf"))

    def detach(self) -> None:
        """Leaves whoever holds the key what is left of its life, which nothing prolongs any more."""
        self._lease = Lease(self._lease.until)
