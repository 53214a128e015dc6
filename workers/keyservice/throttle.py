"""Token buckets by name: how often each may do something. Pure: the time is given."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

SECONDS = 10.0  # of its rate, which may come at once
NAMES_MAX = 10_000  # buckets; the one that was asked longest ago goes first, and would be full again soon


class Throttle:
    """`rate`: how many a second each name may do, over time."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full = max(1.0, rate * SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name → tokens, at this uptime

    def take(self, name: str, uptime: float) -> bool:
        """Whether it may now. `uptime`: seconds."""
        tokens = self._tokens(name, uptime)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, uptime)
        self._buckets.move_to_end(name)
        while len(self._buckets) > NAMES_MAX:
            self._buckets.popitem(last=False)
        return allowed

    def may(self, name: str, uptime: float) -> bool:
        """What `take` would say, without taking."""
        return self._tokens(name, uptime) >= 1

    def _tokens(self, name: str, uptime: float) -> float:
        tokens, since = self._buckets.get(name, (self._full, uptime))
        return min(self._full, tokens + (uptime - since) * self._rate)


def network_of(peer: str) -> str:
    """What one caller can easily have: an IPv4 address, or the 64 first bits of an IPv6 one."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
