"""What all `strongroom origins` commands share: the policy chains that they read, and how they are asked."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

import click

from topics.ids import checked_customer_id
from topics.origin_verdicts import OriginVerdict, subject
from topics.workspaces import Workspace
from topics.write_keys import KeyState, WriteKey, checked_key
from workers import opening
from workers.cli import running
from workers.intake.key_states import Refused
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import ORIGIN_VERDICTS, WORKSPACES, WRITE_KEYS
from workers.settings import Settings
from workers.store.port import Store

T = TypeVar("T")

workspace_option = click.option("--workspace", required=True, help="The customer's workspace.")
keys_option = click.option("--key", "keys", multiple=True, help="Only of this write key; may be repeated.")


async def keys_of(
    chain: PolicyChain[WriteKey],
    workspace: str,
    asked: Collection[str],
    states: Collection[KeyState] = tuple(KeyState),
) -> dict[str, WriteKey]:
    """The write keys of a workspace in these states, or those asked for. Raises Refused where none is."""
    checked_customer_id("workspace", workspace)
    if asked:
        found = {key: await chain.get(checked_key(key)) for key in asked}
        for key, value in found.items():
            if value is None or value.workspace != workspace:
                raise Refused(
                    f"write key {key} is none of {workspace}'s",
                    remedy=f"`strongroom keys list --workspace {workspace}` shows those that are",
                )
        return {key: value for key, value in found.items() if value is not None}
    everything = await chain.everything()
    own = {
        key: value
        for key, value in sorted(everything.items())
        if value.workspace == workspace and value.state in states
    }
    if not own:
        raise Refused(
            f"workspace {workspace} has no write key that is in use",
            remedy=f"`strongroom keys list --workspace {workspace}` shows those that it has",
        )
    return own


class Chains:
    """The policy chains that these commands read."""

    def __init__(self, store: Store) -> None:
        retry = running.patient()
        self.keys = PolicyChain(store, WRITE_KEYS, retry=retry)
        self.workspaces = PolicyChain(store, WORKSPACES, retry=retry)
        self.verdicts = PolicyChain(store, ORIGIN_VERDICTS, retry=retry)

    async def on_host(self, workspace: str, host: str) -> tuple[Workspace, list[OriginVerdict]]:
        """Raises Refused where there is no such workspace."""
        standing = await self.workspace(workspace)
        everything = await self.verdicts.everything()
        return standing, [
            value
            for _, value in sorted(everything.items())
            if (value.workspace, value.host) == (workspace, host)
        ]

    async def on(self, keys: Iterable[str], host: str) -> dict[str, OriginVerdict]:
        """By key; those that there are."""
        found = {key: await self.verdicts.get(subject(key, host)) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def workspace(self, workspace: str) -> Workspace:
        standing = await self.workspaces.get(checked_customer_id("workspace", workspace))
        if standing is None:
            raise Refused(
                f"there is no workspace {workspace}",
                remedy="`strongroom workspaces list` shows those that are",
            )
        return standing


async def read_chains(read: Callable[[Chains], Awaitable[T]]) -> T:
    async with opening.open_ledger(Settings.load()) as store:
        return await read(Chains(store))
