"""What policy says of a unit, by two witnesses: the topic that spreads it, and the chain that it is from.

Both must say that it is due. So a record forged on the topic deletes nothing, and a hold that has not reached
the topic yet counts already.
"""

from collections.abc import Callable

import structlog

from topics.workspaces import Workspace
from workers.intake.dispositions import PLATFORM
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import WORKSPACES
from workers.retention.due import PolicyView, Verdict, judge, judge_closing
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()


class Truth:
    """`view`: the copy of the topic as it is now. `now`: ms since the epoch."""

    def __init__(
        self, ledger: Store, view: Callable[[], PolicyView], now: Callable[[], int], retry: Retry
    ) -> None:
        self._chain = PolicyChain(ledger, WORKSPACES, retry=retry)
        self._view = view
        self._now = now

    async def verdict(self, unit: Unit) -> Verdict:
        """By the topic's copy, and then, where that says due, by the chain as it is in this moment.

        Raises Retryable where the chain can't be read, Fatal where it is broken. Requests: one list, where
        nothing has changed; of the platform's own, one a shard.
        """
        return await self._both(unit.workspace, lambda view: judge(unit, view, self._now()))

    async def closing(self, workspace: str) -> Verdict:
        """As `verdict`, of a customer's workspace itself: whether its key may go."""
        return await self._both(workspace, lambda view: judge_closing(workspace, view, self._now()))

    async def _both(self, workspace: str, judged: Callable[[PolicyView], Verdict]) -> Verdict:
        view = self._view()
        said = judged(view)
        if not said.due:
            return said
        return judged(view._replace(workspaces=await self._by_chain(workspace, view)))

    async def _by_chain(self, workspace: str, view: PolicyView) -> dict[str, Workspace]:
        """What the chain holds of the workspace; of the platform's own, anything at all."""
        if workspace == PLATFORM:
            # its terms are in no chain: but while one of them is broken, nobody knows what else is
            return dict(view.workspaces) if await self._chain.everything() else {}
        stands = await self._chain.get(workspace)
        copied = view.workspaces[workspace]
        if stands is None or stands.seq < copied.seq:
            log.error(
                "policy_forged",
                topic=WORKSPACES.topic,
                seq=copied.seq,
                chain_seq=0 if stands is None else stands.seq,
                remedy="Somebody writes to the topic beside the chain: find out who, then publish it anew",
            )
        # a customer that the chain does not know makes no empty policy: there are others
        return {} if stands is None else {workspace: stands}
