"""The steward's mending of policy: publishes what a command put into a chain and died before Kafka had it.

And all of a chain whose topic was made anew.

Until then workers accept a key that is revoked. Each look asks Kafka which topics it has, and no more unless
there is something to publish. Nothing that goes wrong here ends the steward: it says so, and looks again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog

from workers import opening
from workers.errors import Fatal, Retryable, StrongroomError
from workers.ledger.policy_book import PolicyBook
from workers.ledger.policy_commands import Books, open_books
from workers.ledger.policy_kinds import ORIGIN_VERDICTS, WORKSPACES, WRITE_KEYS, P
from workers.ledger.policy_logs import PolicyLogs
from workers.ledger.policy_marks import PolicyMarks
from workers.ledger.policy_shards import PolicyShards
from workers.observe import metrics
from workers.settings import Settings
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()

PAUSE = 5.0  # seconds between two looks, at least: a command that died is completed after two of them
RATE = 5  # requests a second that looking may cost on average
REMEDY = "Workers go by what the topic holds. The next look tries again; see docs/policy.md, Writing"


class Mending:
    """`books` opens Kafka for what is to be published, `ids` asks it for its policy topics' ids, by the names
    of their chains; `step` is told of all that gets done.
    """

    def __init__(
        self,
        store: Store,
        retry: Retry,
        books: Callable[[], AbstractAsyncContextManager[Books]],
        ids: Callable[[], Awaitable[Mapping[str, str]]],
        step: Callable[[], None],
        pause: float = PAUSE,
    ) -> None:
        self._marks = {
            topic: PolicyMarks(PolicyShards(store, topic, retry=retry))
            for topic in (WRITE_KEYS.topic, WORKSPACES.topic, ORIGIN_VERDICTS.topic)
        }
        self._logs = PolicyLogs(store, retry)
        self._known: dict[str, str] = {}  # topic → the id of which the bucket says that it has all
        self._asked = True  # whether Kafka said the last time which topics it has
        self._books = books
        self._ids = ids
        self._step = step
        self._pause = pause
        self.busy = False  # in a look

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.busy = True
            requests = await self.look()
            self.busy = False
            await asyncio.sleep(max(self._pause, requests / RATE))

    async def look(self) -> int:
        """Publishes what the look before saw missing. Returns about how many requests it looked by."""
        overdue: dict[str, list[int]] = {}
        requests = 0
        for topic, marks in self._marks.items():
            try:
                found = await marks.look()
            except (Retryable, Fatal) as error:
                _tell(topic, error)
                continue
            requests += found.requests
            overdue[topic] = found.overdue
            metrics.POLICY_UNPUBLISHED.labels(topic=topic).set(len(found.overdue))
            self._step()
        replaced = await self._replaced()
        if replaced or any(overdue.values()):
            try:
                async with self._books() as books:
                    # keys last, as `policy publish` does
                    await self._see_to(books.verdicts, replaced, overdue)
                    await self._see_to(books.workspaces, replaced, overdue)
                    await self._see_to(books.keys, replaced, overdue)
            except (Retryable, Fatal) as error:
                _tell("all", error)
        return requests

    async def _replaced(self) -> dict[str, str]:
        """Topics that were made anew since their chain was published, with their ids as they are."""
        try:
            there = await self._ids()
            unsure = {topic: there[topic] for topic in there if self._known.get(topic) != there[topic]}
            replaced = await self._logs.replaced(unsure)
            for topic, topic_id in unsure.items():
                if topic not in replaced:  # nobody has said so yet: what the marks say holds for this one
                    await self._keep(topic, topic_id)
        except (Retryable, Fatal) as error:
            if self._asked:
                _tell("all", error)
            self._asked = False
            return {}
        self._asked = True
        return replaced

    async def _keep(self, topic: str, topic_id: str) -> None:
        await self._logs.keep(topic, topic_id)
        self._known[topic] = topic_id

    async def _see_to(
        self, book: PolicyBook[P], replaced: Mapping[str, str], overdue: Mapping[str, list[int]]
    ) -> None:
        await self._renew(book, replaced)
        await self._mend(book, overdue)

    async def _renew(self, book: PolicyBook[P], replaced: Mapping[str, str]) -> None:
        """Publishes the whole chain. Raises Retryable where Kafka is away."""
        topic = book.chain.kind.topic
        if topic not in replaced:
            return
        try:
            values, findings = await book.publish_all(self._step)
        except Retryable:
            raise
        except StrongroomError as error:
            _tell(topic, error)
            return
        await self._keep(topic, replaced[topic])
        metrics.POLICY_MENDED.labels(topic=topic).inc(values)
        log.warning("policy_published_anew", topic=topic, values=values, findings=len(findings))

    async def _mend(self, book: PolicyBook[P], overdue: Mapping[str, list[int]]) -> None:
        """Raises Retryable where Kafka is away. A shard that can't be read is no other's hindrance."""
        topic = book.chain.kind.topic
        for shard in overdue.get(topic, ()):
            try:
                values = await book.publish_missing([shard])
            except Retryable:
                raise
            except StrongroomError as error:
                _tell(topic, error, shard=shard)
                continue
            self._step()
            metrics.POLICY_UNPUBLISHED.labels(topic=topic).dec()
            metrics.POLICY_MENDED.labels(topic=topic).inc(values)
            if values:
                log.warning("policy_mended", topic=topic, shard=shard, values=values)


@asynccontextmanager
async def open_to_mend(settings: Settings, ledger: Store, retry: Retry) -> AsyncIterator[Books]:
    """Raises Retryable while Kafka is away."""
    async with opening.open_publisher(settings) as publisher:
        yield open_books(ledger, publisher, prefix=settings.topic_prefix, retry=retry)


def _tell(topic: str, error: StrongroomError, **where: int) -> None:
    log.error("policy_unpublished", topic=topic, **where, error=error.message, remedy=error.remedy or REMEDY)
