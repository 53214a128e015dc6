"""Workspaces, units and times for the tests of retention."""

from datetime import UTC, datetime
from typing import Any

from topics.workspaces import Workspace
from workers.intake.dispositions import Clock
from workers.retention.due import PolicyView
from workers.sealing.keys import Unit

DAY = 86_400_000
HOUR = 3_600_000
NOW = 1_795_687_200_000  # 2026-11-26T10:00:00Z
MIDNIGHT = NOW - NOW % DAY


def workspace(name: str = "acme", **fields: Any) -> Workspace:
    return Workspace(**{"id": name, "changed_at": 1, "shard": 4, "seq": 9, **fields})


def view(*workspaces: Workspace, **fields: Any) -> PolicyView:
    return PolicyView({each.id: each for each in workspaces}, **fields)


def day(ago: int, now: int = NOW) -> str:
    """The UTC day so many days before that of `now`."""
    return datetime.fromtimestamp(now / 1000 - ago * 86400, UTC).date().isoformat()


def unit(ago: int, workspace: str = "acme", source: str = "web", clock: Clock = Clock.MAIN) -> Unit:
    return Unit(workspace, source, day(ago), clock)
