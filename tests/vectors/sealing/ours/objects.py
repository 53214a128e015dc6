"""The object of opens.json, those of other units beside it, and the tools to spoil one."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping

from workers.intake.dispositions import Clock
from workers.sealing.format import Sealed, seal
from workers.sealing.keys import (
    KEY_BYTES,
    Level,
    Secret,
    Unit,
    WrappingKey,
    canonical,
    context_of,
    service_context,
)

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
OBJECT = "data/ws=acme/src=web/day=2026-11-25/accepted/raw-events-1.ndjson.zst"
PLAIN = b"PLANTED-PLAINTEXT: the payload that no refusal may show. " * 2
GENERATION = 1


def secret(name: str, length: int = KEY_BYTES) -> bytes:
    """Throw-away key material that follows from its name."""
    return hashlib.sha512(name.encode()).digest()[:length]


class Fixed(WrappingKey):
    """Wraps with an IV that follows from the context, so that the vectors are the same each time."""

    __slots__ = ()

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        iv = secret(repr(sorted(context.items())), 12)
        return self._header + iv + self._aead.encrypt(iv, key, self._header + canonical(context))


def unit_secret(unit: Unit) -> Secret:
    return Secret(secret("/".join(unit)))


def sealed(
    unit: Unit = UNIT, key: str = OBJECT, plain: bytes = PLAIN, generation: int = GENERATION
) -> Sealed:
    context, dek = context_of(unit, key), secret(f"dek {unit} {key}")
    wrapping = Fixed(
        unit_secret(unit), Level.DATA, workspace=unit.workspace, day=unit.day, generation=generation
    )
    wrapped = wrapping.wrap(dek, service_context(context))
    return seal(plain, dek=dek, msgid=secret(f"msgid {key}", 28), wrapped=wrapped, context=context)


GOOD = sealed()
OTHER = sealed(key=OBJECT.replace("-1.", "-2."))
OTHER_DAY = sealed(UNIT._replace(day="2026-11-24"))
OTHER_WORKSPACE = sealed(UNIT._replace(workspace="rival"))
OTHER_SOURCE = sealed(UNIT._replace(source="app"))
OTHER_CLOCK = sealed(UNIT._replace(clock=Clock.QUARANTINE))
OTHER_GENERATION = sealed(generation=2)
CONTEXT = json.loads(GOOD.metadata["x-amz-t"])
BLOB = base64.b64decode(GOOD.metadata["x-amz-3"])


DEK = secret(f"dek {UNIT} {OBJECT}")


def holding(length: int) -> bytes:
    """A data key of `length` bytes, wrapped as it should be."""
    wrapping = Fixed(
        unit_secret(UNIT), Level.DATA, workspace=UNIT.workspace, day=UNIT.day, generation=GENERATION
    )
    return wrapping.wrap(secret("dek", length), service_context(context_of(UNIT, OBJECT)))


def flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def header(**changes: str | None) -> dict[str, str]:
    """The good header with these changed: `c` for x-amz-c, and so on; None drops one."""
    changed = {**GOOD.metadata, **{f"x-amz-{name}": value for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


def context(**changes: str | None) -> dict[str, str]:
    changed = {name: value for name, value in {**CONTEXT, **changes}.items() if value is not None}
    return header(t=json.dumps(changed))


def raw(short: str, edit: Callable[[bytes], bytes]) -> dict[str, str]:
    return header(**{short: b64(edit(base64.b64decode(GOOD.metadata[f"x-amz-{short}"])))})
