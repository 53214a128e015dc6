"""Policy writers for tests, over any store, and a topic that remembers all it was sent, in order."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from itertools import count, islice
from typing import Any, NamedTuple

from topics.workspaces import SourceType, Workspace
from topics.write_keys import WriteKey, codec
from workers.by import By
from workers.ledger import policy_commands, workspace_terms
from workers.ledger.policy_book import Publisher
from workers.ledger.policy_commands import Books, open_books
from workers.ledger.policy_entries import shard_of
from workers.store.port import Store
from workers.store.retry import Retry

PREFIX = "eu."
NOW = 1_000_000_000_000


class Spot(NamedTuple):
    partition: int
    offset: int


class Topics:
    """Kafka as a publisher sees it. `turn` is awaited before a record is appended and after."""

    def __init__(self, turn: Callable[[], Awaitable[None]] | None = None) -> None:
        self.log: list[tuple[str, bytes | None, bytes]] = []
        self.down: Exception | None = None
        self.turn = turn or _at_once

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Spot:
        await self.turn()
        if self.down:
            raise self.down
        self.log.append((topic, key, value))
        spot = Spot(0, len(self.log) - 1)
        await self.turn()
        return spot

    def of(self, topic: str) -> list[bytes]:
        return [value for name, _, value in self.log if name == PREFIX + topic]

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(value) for value in self.of("audit")]

    def compacted(self, topic: str) -> dict[str, Any]:
        """What a worker reads that starts after compaction: the last record of each key."""
        return {
            key.decode(): json.loads(value) for name, key, value in self.log if name == PREFIX + topic and key
        }

    def followed(self) -> dict[str, WriteKey]:
        """What a worker knows that followed all along: the highest seq of each key."""
        known: dict[str, WriteKey] = {}
        for data in self.of("write-keys"):
            value = codec.decode(data)
            if value.key not in known or known[value.key].seq < value.seq:
                known[value.key] = value
        return known


async def _at_once() -> None:
    await asyncio.sleep(0)


def by(why: str = "because", now: int = NOW) -> By:
    return By("ann@desk", "desk", why, now)


def impatient() -> Retry:
    """Never gives up and never waits: for stores that only fail sometimes."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    return Retry(sleep=sleep)


def writer(store: Store, topics: Publisher, retry: Retry | None = None) -> Books:
    """One process's books: nothing is shared with another's but the store and Kafka."""
    return open_books(store, topics, prefix=PREFIX, retry=retry or Retry(attempts=1))


async def set_up(books: Books, workspace: str = "acme", source: str = "web") -> Workspace:
    return await policy_commands.set_workspace(
        books,
        workspace,
        lambda before: workspace_terms.with_source(before, source, SourceType.BROWSER, None),
        by(),
    )


def neighbours(number: int, shard: int = 7) -> list[str]:
    """Keys of one shard."""
    keys = (f"key-{n}" for n in count())
    return list(islice((key for key in keys if shard_of(key) == shard), number))


def shuffled(seed: int) -> Callable[[], Awaitable[None]]:
    """Lets others go first, for a number of turns that the seed decides."""
    rng = random.Random(seed)

    async def turn() -> None:
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)

    return turn
