"""Named attempts that must be refused, and what comes of one: vectors of spoilt objects, and scenarios."""

import asyncio
import hashlib
import traceback
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tests.vectors.sealing.load import vectors
from workers.intake.dispositions import Clock
from workers.sealing.keys import Secret, Unit
from workers.sealing.unit_key import Lease, UnitKey

GOOD = vectors("ours/opens.json")
BODY, METADATA, OBJECT, PLAIN = (
    b64decode(GOOD["body"]),
    GOOD["metadata"],
    GOOD["object"],
    b64decode(GOOD["plain"]),
)
DONE = "done"  # what was attempted was not refused
WITHIN = 10.0  # seconds, for an attempt that a broken check might leave without end


class Case(NamedTuple):
    """`refusal` is the name of the class with which `attempt` must be refused."""

    name: str
    refusal: str
    attempt: Callable[[], object]

    def outcome(self) -> str:
        """The name of the refusal's class, or DONE."""
        error = self.refused()
        return DONE if error is None else type(error).__name__

    def refused(self) -> Exception | None:
        try:
            self.attempt()
        except Exception as error:
            return error
        return None


SCENARIOS: list[Case] = []


def refused(name: str, refusal: str) -> Callable[[Callable[[], Awaitable[None]]], object]:
    """Adds the decorated attempt to SCENARIOS."""

    def add(attempt: Callable[[], Awaitable[None]]) -> object:
        async def bounded() -> None:
            async with asyncio.timeout(WITHIN):
                await attempt()

        SCENARIOS.append(Case(name, refusal, lambda: asyncio.run(bounded())))
        return attempt

    return add


def key_of(unit: Unit, secret: Secret) -> UnitKey:
    return UnitKey(unit, secret, generation=GOOD["generation"], durable=True, lease=Lease(float("inf")))


def unit_of(**changes: str) -> Unit:
    fields = dict(zip(("workspace", "source", "day", "clock"), GOOD["unit"], strict=True)) | changes
    return Unit(fields["workspace"], fields["source"], fields["day"], Clock(fields["clock"]))


def opener() -> UnitKey:
    return key_of(unit_of(), Secret(bytes.fromhex(GOOD["key"])))


def _vector(case: dict[str, Any]) -> Case:
    asked = dict(case["asked"])
    wanted = asked.pop("object", OBJECT)
    unit = unit_of(**asked)
    secret = Secret(hashlib.sha512("/".join(unit).encode()).digest()[:32])
    body = b64decode(case["body"])
    return Case(
        case["name"],
        case["refusal"],
        lambda: key_of(unit, secret).open(body, case["metadata"], wanted),
    )


VECTORS = [_vector(case) for case in vectors("ours/refused.json")]


def said(error: BaseException) -> str:
    """All that a log could come to hold of an error: also its causes, and a traceback with every local."""
    rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    spoken = [str(error), repr(error), repr(error.args), repr(vars(error)), *rendered.format()]
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            spoken.append(said(cause))
    return "".join(spoken)
