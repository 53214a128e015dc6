"""Strongroom as a contender: the installed worker with everything on."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from tests.benchmarks import costs
from tests.benchmarks.costs import Cost
from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.workload import (
    KEYS,
    WORKSPACES,
    Profile,
    dropped_keys,
    host_of,
    keys_of,
)
from tests.system.fleet import COMMAND, Fleet
from topics.workspaces import Source, SourceType
from workers.by import By
from workers.cli.policy import open_policy
from workers.ledger.policy_commands import add_key, set_workspace
from workers.settings import Settings

SOURCES = KEYS // WORKSPACES


def set_up(fleet: Fleet, profile: Profile) -> None:
    """The workspaces and their keys, revoked if on the drop list; and the sites of browsers."""
    register(fleet, profile)
    for key in dropped_keys(profile):
        fleet.run("keys", "revoke", key, "--reason", "on the drop list")


def register(fleet: Fleet, profile: Profile) -> None:
    """The same, with all keys in use."""
    os.environ.update(fleet.environment())
    asyncio.run(_register(profile))


async def _register(profile: Profile) -> None:
    by = By("bench", "bench", "bench", now=time.time_ns() // 1_000_000)
    async with open_policy(Settings.load()) as books:
        for workspace in range(WORKSPACES):
            sources = tuple(_source(profile, number, workspace) for number in range(SOURCES))
            await set_workspace(books, f"w{workspace}", partial(replace, sources=sources), by)
        for number, key in enumerate(keys_of(profile)):
            await add_key(books, key, f"w{number % WORKSPACES}", f"s{number // WORKSPACES}", by)


def _source(profile: Profile, number: int, workspace: int) -> Source:
    if not profile.browsers:
        return Source(id=f"s{number}", type=SourceType.SERVER)
    own = host_of(number * WORKSPACES + workspace)
    return Source(id=f"s{number}", type=SourceType.BROWSER, allowed_origins=(own,))


def archive(given: Given) -> Cost:
    return costs.archive(given.fleet, given.count, given.profile.batch)


def read(given: Given) -> Iterator[bytes]:
    for workspace in range(WORKSPACES):
        reading = subprocess.Popen(
            [COMMAND, "read", "--workspace", f"w{workspace}"],
            env=given.fleet.environment(),
            stdout=subprocess.PIPE,
        )
        assert reading.stdout is not None
        yield from reading.stdout
        assert reading.wait() == 0
    assert given.fleet.json("verify")["clean"]
