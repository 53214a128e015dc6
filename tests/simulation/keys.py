"""The key store of a simulation: real unit keys, made of the unit's name, which may be out of reach."""

from collections.abc import Callable
from hashlib import sha256

from tests.simulation.loop import Process
from tests.simulation.network import Lost, Network
from workers.sealing.keys import Secret, Unit
from workers.sealing.unit_key import Lease, UnitKey
from workers.store.port import Unavailable

LIFE = 20.0  # seconds that a key may be used without another word of the key store
TIMEOUT = 5.0  # seconds


def key_of(unit: Unit, lease: Lease, clock: Callable[[], float]) -> UnitKey:
    secret = Secret(sha256("/".join(unit).encode()).digest())
    return UnitKey(unit, secret, generation=1, durable=True, lease=lease, clock=clock)


class Keys:
    """One worker's cache of keys."""

    def __init__(
        self, server: Process, network: Network, clock: Callable[[], float], down: Callable[[], bool]
    ) -> None:
        self._server, self._network, self._clock, self._down = server, network, clock, down
        self._kept: dict[Unit, tuple[float, UnitKey]] = {}

    async def unit_key(self, unit: Unit, *, create: bool) -> UnitKey:
        until, key = self._kept.get(unit, (0.0, None))
        if key is not None and self._clock() < until:
            return key
        asked = self._clock()

        def serve() -> UnitKey:
            if self._down():
                raise Unavailable("the key store is down")
            return key_of(unit, Lease(asked + LIFE), self._clock)

        try:
            key = await self._network.ask(self._server, serve, TIMEOUT)
        except Lost as error:
            raise Unavailable(f"key of {unit}: {error}") from None
        self._kept[unit] = (asked + LIFE / 2, key)
        return key
