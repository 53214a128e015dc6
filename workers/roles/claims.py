"""Claims partitions of one topic for the owner: their logs, their ledger, the hints that the group keeps."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from workers.errors import Retryable
from workers.ledger.assign import claim
from workers.ledger.entries import Writer
from workers.ledger.head import Head, Hint
from workers.ledger.succession import LogId
from workers.store.port import Store
from workers.store.retry import Retry


class Extent(Protocol):
    @property
    def topic_id(self) -> str: ...

    @property
    def bounds(self) -> Mapping[int, tuple[int, int]]: ...


class Log(Protocol):
    """What is asked of Kafka; see workers.stream.log."""

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]: ...

    async def extent(self, topic: str, partitions: frozenset[int] | None = None) -> Extent: ...

    async def record(self, topic: str, partition: int, offset: int) -> bytes | None: ...


class Hints(Protocol):
    async def hints(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        """Partition → the group's offset and its metadata, where there is one."""


class Claims:
    def __init__(
        self,
        log_id: tuple[str, str],
        log: Log,
        ledger: Store,
        writer: Writer,
        retry: Retry,
        now: Callable[[], int],
    ) -> None:
        self._topic, self._topic_id = log_id
        self._log = log
        self._ledger = ledger
        self._writer = writer
        self._retry = retry
        self._now = now
        self.stream: Hints | None = None

    @classmethod
    async def on(
        cls, topic: str, log: Log, ledger: Store, writer: Writer, retry: Retry, now: Callable[[], int]
    ) -> "Claims":
        """For the topic as it is now: one that is made anew under its name is another log."""
        topic_id = (await log.topic_ids([topic]))[topic]
        return cls((topic, topic_id), log, ledger, writer, retry, now)

    async def __call__(self, partition: int) -> Head:
        """Where the partition goes on. Raises Fatal to halt it alone, anything else to end the worker."""
        return await claim(
            self._ledger,
            LogId(self._topic, self._topic_id, partition),
            OneLog(self._log, self._retry, self._topic, self._topic_id, partition),
            hint=await self._hint(partition),
            writer=self._writer,
            now=self._now(),
            retry=self._retry,
        )

    async def _hint(self, partition: int) -> Hint | None:
        found = {} if self.stream is None else await self.stream.hints([partition])
        if partition not in found:
            return None
        following, text = found[partition]
        return Hint.parse(text, following)


class OneLog:
    """One partition's log, as long as its topic is the one of that id."""

    def __init__(self, log: Log, retry: Retry, topic: str, topic_id: str, partition: int) -> None:
        self._log = log
        self._retry = retry
        self._topic = topic
        self._topic_id = topic_id
        self._partition = partition

    async def bounds(self) -> tuple[int, int]:
        extent = await self._retry.call(lambda: self._log.extent(self._topic, frozenset({self._partition})))
        if extent.topic_id != self._topic_id:
            # its records must never go under the chain of the old one
            raise Retryable(
                f"topic {self._topic} was made anew: its id is {extent.topic_id}, it was {self._topic_id}",
                remedy="The worker ends; started again, it halts until the old topic's chains are closed",
            )
        return extent.bounds[self._partition]

    async def record(self, offset: int) -> bytes | None:
        return await self._retry.call(lambda: self._log.record(self._topic, self._partition, offset))
