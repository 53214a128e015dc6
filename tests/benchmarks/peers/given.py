"""What every contender is given."""

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.workload import Profile
from tests.system.fleet import Fleet


@dataclass
class Given:
    """A topic of `count` records, and a bucket of its own."""

    fleet: Fleet
    bucket: str
    profile: Profile
    count: int
    ends: dict[int, int]
    trust: Path | None = None  # who vouches for the servers, where they speak TLS

    @property
    def topic(self) -> str:
        return f"{self.fleet.prefix}raw-events"
