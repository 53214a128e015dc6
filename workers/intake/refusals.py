"""Counts what a batch refuses: whose, why, from which host. In bounded memory, whoever floods it.

Counts are exact. Beyond the bounds they go to a row that names no host, or no key, but `*`; and where there
are more of these than are told apart, to the platform's own, one a reason.
"""

from collections.abc import Iterator
from typing import NamedTuple

from workers.intake.dispositions import PLATFORM

KEYS = 256  # (workspace, source, key, reason) of a batch with a row of their own
SOURCES = 256  # and (workspace, source, reason) with a row for their other keys
HOSTS = 32  # and hosts of each
HOSTS_TOLD = 10  # of these, those with the most records
OTHERS = "*"
OTHER_SOURCES = "_others"  # of the platform's workspace


class Refusal(NamedTuple):
    workspace: str
    source: str
    write_key: str
    reason: str
    host: str  # the witness: Origin, else Referer; empty where there was none


class Tally:
    """Records of one refusal. Times are the broker's, in ms since the epoch."""

    __slots__ = ("first_at", "first_offset", "last_at", "last_offset", "records")

    def __init__(
        self, records: int, first_at: int, last_at: int, first_offset: int, last_offset: int
    ) -> None:
        self.records = records
        self.first_at, self.last_at = first_at, last_at
        self.first_offset, self.last_offset = first_offset, last_offset

    def add(self, other: "Tally") -> None:
        self.records += other.records
        self.first_at = min(self.first_at, other.first_at)
        self.last_at = max(self.last_at, other.last_at)
        self.first_offset = min(self.first_offset, other.first_offset)
        self.last_offset = max(self.last_offset, other.last_offset)


class Refusals:
    def __init__(self) -> None:
        self._tallies: dict[Refusal, dict[str, Tally]] = {}  # refusal with no host → host → tally

    def count(self, refusal: Refusal, tally: Tally) -> None:
        of_key = refusal._replace(host="")
        if of_key not in self._tallies and len(self._tallies) >= KEYS:
            of_key = of_key._replace(write_key=OTHERS)
            if of_key not in self._tallies and len(self._tallies) >= KEYS + SOURCES:
                of_key = of_key._replace(workspace=PLATFORM, source=OTHER_SOURCES)
        hosts = self._tallies.setdefault(of_key, {})
        host = refusal.host if refusal.host in hosts or len(hosts) < HOSTS else OTHERS
        _add(hosts, host, tally)

    def rows(self) -> Iterator[tuple[Refusal, Tally]]:
        """At most HOSTS_TOLD hosts of a key, those with the most records, and one row for the others."""
        for of_key, hosts in self._tallies.items():
            told: dict[str, Tally] = {}
            for host, tally in sorted(hosts.items(), key=lambda each: (each[0] == OTHERS, -each[1].records)):
                _add(told, host if len(told) < HOSTS_TOLD else OTHERS, tally)
            for host, tally in told.items():
                yield of_key._replace(host=host), tally


def _add(hosts: dict[str, Tally], host: str, tally: Tally) -> None:
    if host in hosts:
        hosts[host].add(tally)
    else:
        hosts[host] = Tally(
            tally.records, tally.first_at, tally.last_at, tally.first_offset, tally.last_offset
        )
