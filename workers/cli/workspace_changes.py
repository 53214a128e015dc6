"""What all commands that look at workspaces, or change them, share."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from topics.ids import checked_customer_id
from topics.workspaces import Workspace, WorkspaceState
from workers import opening
from workers.cli import output, running
from workers.cli.policy import asked_by, open_policy
from workers.errors import Poison
from workers.intake import key_states
from workers.intake.key_states import Refused
from workers.ledger import policy_commands
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import WORKSPACES
from workers.retention import closing, names, pending
from workers.retention.holding import Recalled, recall_kept
from workers.settings import Settings
from workers.settings_checks import listed

T = TypeVar("T")


async def standing(workspace: str) -> Workspace:
    """Raises Poison where there is none."""
    checked_customer_id("workspace", workspace)
    value = await read(lambda chain: chain.get(workspace))
    if value is None:
        raise Poison(
            f"there is no workspace {workspace}", remedy="`strongroom workspaces list` shows those that are"
        )
    return value


async def changed(workspace: str, edit: Callable[[Workspace], Workspace], reason: str) -> Workspace:
    """Changes what stands, in the chain and on the topic. Raises Refused where its key is gone for good."""
    settings = Settings.load()
    checked_customer_id("workspace", workspace)
    async with opening.open_ledger(settings) as ledger:
        has_ended = await closing.has_ended(ledger, workspace, running.patient())

    def checked(before: Workspace) -> Workspace:
        after = edit(before)
        if has_ended and after.state is WorkspaceState.OPEN:
            raise Refused(
                f"workspace {workspace} was closed, and its own key is destroyed",
                remedy="Open another workspace for this customer: nothing can be stored in this one again",
            )
        return after

    async with open_policy(settings) as books:
        return await policy_commands.set_workspace(
            books,
            workspace,
            checked,
            asked_by(settings, reason),
            frozenset(listed(settings.retention_plans)),
        )


def taken_back(value: Workspace, reason: str) -> int:
    """Takes back what is under way of WORKSPACE and not due any more; says what. The exit code.

    `value`: as it stands now in the chain. 1: something could not be saved.
    """
    recalled = running.run(_recalled(value, reason))
    for unit in recalled.units:
        output.say(f"{'/'.join(unit)} was disabled, and can be read again")
    for unit in recalled.too_late:
        output.say(f"{'/'.join(unit)} is being destroyed: it can't be taken back")
    if recalled.key_too_late:
        output.say(f"the key of {value.id} itself is being destroyed: it can't be taken back")
    return int(bool(recalled.too_late) or recalled.key_too_late)


async def _recalled(value: Workspace, reason: str) -> Recalled:
    settings, retry = Settings.load(), running.patient()
    async with opening.open_ledger(settings) as ledger:
        begun = [stood async for stood in pending.under_way(ledger, retry, names.pending_of(value.id))]
        if not begun and await closing.read(ledger, value.id, retry) is None:
            return Recalled((), ())  # as nearly always: whoever changes a workspace then needs no keystore
        by = asked_by(settings, reason)
        async with opening.open_key_rows(settings) as rows:
            return await recall_kept(ledger, rows, value, by.who, retry, by.now)


async def closed(workspace: str, reason: str) -> Workspace:
    """With all its write keys revoked. Raises Poison where there is none."""
    if not reason.strip():
        raise Poison("a workspace is closed for a reason", remedy="Give --reason: it is kept for ever")
    await standing(workspace)
    settings = Settings.load()
    async with open_policy(settings) as books:
        for key, value in (await books.keys.chain.everything()).items():
            if value.workspace == workspace and key_states.TRANSITIONS[value.state]:
                await policy_commands.revoke_key(books, key, asked_by(settings, reason))
    return await changed(
        workspace, lambda before: msgspec.structs.replace(before, state=WorkspaceState.CLOSED), reason
    )


async def read(read: Callable[[PolicyChain[Workspace]], Awaitable[T]]) -> T:
    async with opening.open_ledger(Settings.load()) as store:
        return await read(PolicyChain(store, WORKSPACES, retry=running.patient()))
