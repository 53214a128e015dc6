"""A source whose copies are quarantined, and people who release them or give them up."""

from collections.abc import Sequence
from typing import Any

from tests.contract.replay.world import World
from tests.unit.intake.making import (
    NOW,
    TODAY,
    envelope,
    key_record,
    policy_of,
    verdict_record,
    workspace_record,
)
from tests.unit.ledger.world import MarkingKeys
from topics import workspaces
from topics.workspaces import OriginPolicy, Workspace
from workers.by import By
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.quarantine import Moved, Quarantine, Wanted
from workers.sealing.keys import Unit

QUARANTINE = Unit("acme", "site", TODAY, Clock.QUARANTINE)
WANTED = Wanted(frozenset({"known"}), "copy.example")
ANN = By("ann", "desk", "copy.example: they rang", NOW)
ACME = workspace_record(allowed=["[*.]good.com"], origins=OriginPolicy.QUARANTINE)


def account(**changes: Any) -> Workspace:
    return workspaces.codec.decode(workspace_record(allowed=["[*.]good.com"], **changes))


def copied(*ids: str, host: str = "copy.example", key: str = "known") -> list[bytes]:
    """Of a page that says that it is the customer's."""
    return [
        envelope(key, origin=f"https://{host}", page={"url": "https://good.com/a"}, event=_event(each))
        for each in ids
    ]


def _event(name: str) -> dict[str, object]:
    return {"type": "page", "messageId": name, "context": {"page": {"url": "https://good.com/a"}}}


def quarantining(store: Any) -> World:
    """Two hosts are copies, for two keys of one source."""
    verdicts = [
        verdict_record(host=host, key=key)
        for host in ("copy.example", "other.example")
        for key in ("known", "second")
    ]
    return World(store, intake=policy_of([key_record(), key_record("second")], [ACME], verdicts))


def person(world: World, standing: Workspace | None = None, keys: MarkingKeys | None = None) -> Quarantine:
    keys = keys or MarkingKeys()

    async def stands() -> Workspace:
        return standing or account()

    return Quarantine(keys, world.flusher(keys), stands)


async def released(world: World, wanted: Wanted = WANTED, standing: Workspace | None = None) -> Moved:
    return await person(world, standing).release(QUARANTINE, wanted, Disposition.ACCEPTED, ANN)


async def discarded(world: World, wanted: Wanted = WANTED, standing: Workspace | None = None) -> Moved:
    return await person(world, standing).discard(QUARANTINE, wanted, ANN)


async def archived(world: World, batches: int = 1) -> Sequence[str]:
    """Batches of five records each; the ids of those of WANTED."""
    wanted = []
    for number in range(batches):
        names = [f"a{number}", f"b{number}"]
        wanted += names
        await world.archive(
            [
                *copied(names[0]),
                *copied(f"o{number}", host="other.example"),
                *copied(names[1]),
                *copied(f"s{number}", key="second"),
                *copied(f"own{number}", host="www.good.com"),
            ]
        )
    return wanted
