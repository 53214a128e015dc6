"""When the judge holds still: what looks like a migration gets no new verdict.

Source: docs/origins.md, What the judge weighs.
Verdicts that stand stay: or a copy could flood itself free.
"""

from collections.abc import Callable, Iterable

from topics.origin_verdicts import VerdictKind
from workers.origins.judge_state import DAY, HOUR, MINUTE, MINUTES_KEPT, HostState, KeyState, total

BRAKES = ("host_share", "quarantine_share")
QUARANTINE_SHARE = 0.05  # of what the key has in the same hour on other days
HOST_SHARE = 0.2  # of the key's records
LEAST = 10  # records: fewer are no share of anything
WINDOW = 1  # full minutes, and the present one: a migration shows in them at once
WEEK = 7  # days


def braked(key: KeyState, candidate: HostState, *, established: Callable[[HostState], bool]) -> str | None:
    """Which brake holds, in a word. `candidate` would be quarantined next."""
    if any(too_large(key, host) for host in key.hosts.values() if not established(host)):
        return "host_share"
    quarantined = [
        host for host in key.hosts.values() if host is candidate or host.issued == VerdictKind.COPY.value
    ]
    return "quarantine_share" if too_much(key, quarantined) else None


def too_large(key: KeyState, host: HostState) -> bool:
    """Whether the host has more than HOST_SHARE of what the key sent, of late or since the host came."""
    now = key.clock // MINUTE
    first = max(host.first_at // MINUTE, now - MINUTES_KEPT + 1)
    return any(
        (mine := total(host.minutes, window)) >= LEAST and mine > HOST_SHARE * total(key.minutes, window)
        for window in (range(first, now + 1), range(now - WINDOW, now + 1))
    )


def too_much(key: KeyState, quarantined: Iterable[HostState]) -> bool:
    """Whether these have more than QUARANTINE_SHARE of what this hour, or the last one, has as a rule."""
    hosts = list(quarantined)
    hours = (key.clock // HOUR, key.clock // HOUR - 1)
    return any(
        sum(host.hours.get(hour, 0) for host in hosts) > QUARANTINE_SHARE * baseline(key, hour)
        for hour in hours
    )


def baseline(key: KeyState, hour: int) -> float:
    """The key's records in that hour of the day, on average of the seven days before."""
    return total(key.hours, (hour - day * (DAY // HOUR) for day in range(1, WEEK + 1))) / WEEK
