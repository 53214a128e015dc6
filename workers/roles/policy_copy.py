"""This worker's copy of keys, workspaces and verdicts: read whole before the first fetch, then followed."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial

import structlog

from topics import origin_verdicts, workspaces, write_keys
from topics.policy_applied import Applied as AppliedTopic
from workers.intake.policy import KEPT_OUT, Applied, Policy
from workers.observe import metrics
from workers.roles.first_of import first_of
from workers.stream.compacted import CompactedReader
from workers.stream.connection import KafkaConnection

log = structlog.get_logger()


class PolicyCopy:
    """Feeds the policy topics to `policy`, and knows how far and how fresh they are (docs/policy.md)."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic_prefix: str,
        policy: Policy,
        stale_after: float,
        now: Callable[[], int],
        topics: Collection[str] = (write_keys.NAME, workspaces.NAME, origin_verdicts.NAME),
    ) -> None:
        self._stale_after = stale_after  # seconds
        self._now = now  # ms since the epoch
        self._said_stale = False
        self.changed = asyncio.Event()  # set when a record was applied; whoever waits for it clears it

        def key(key: bytes | None, value: bytes | None) -> None:
            self._tell(write_keys.NAME, policy.apply_write_key(value))

        def workspace(key: bytes | None, value: bytes | None) -> None:
            self._tell(workspaces.NAME, policy.apply_workspace(value, key))

        def verdict(key: bytes | None, value: bytes | None) -> None:
            self._tell(origin_verdicts.NAME, policy.apply_verdict(value))

        self.readers = {
            topic: CompactedReader(
                connection, topic_prefix + topic, apply, followed=partial(self._followed, topic)
            )
            for topic, apply in (
                (write_keys.NAME, key),
                (workspaces.NAME, workspace),
                (origin_verdicts.NAME, verdict),
            )
            if topic in topics
        }

        if origin_verdicts.NAME in self.readers:
            policy.verdicts_stale = self.verdicts_stale

    async def start(self) -> None:
        """Returns when the topics have been read to their ends. Raises what one of them can't be read for."""
        starting = [asyncio.ensure_future(reader.start()) for reader in self.readers.values()]
        try:
            await asyncio.gather(*starting)
        finally:
            # a reader that went on starting would make its consumer after `stop`, and follow for ever
            for each in starting:
                each.cancel()
            await asyncio.wait(starting)

    async def follow(self) -> None:
        """Until cancelled; raises what ended a reader, for a copy that nobody feeds only grows old."""
        await first_of(*(reader.failure for reader in self.readers.values()))

    async def stop(self) -> None:
        await asyncio.gather(*(reader.stop() for reader in self.readers.values()))

    def stale(self) -> bool:
        """Deciding on an old copy could accept what was revoked: chunks are held meanwhile."""
        return self.age() > self._stale_after

    def age(self) -> float:
        """Seconds; of the older one of write keys and workspaces."""
        return max(reader.age() for topic, reader in self.readers.items() if topic != origin_verdicts.NAME)

    def verdicts_stale(self) -> bool:
        """Nothing waits for verdicts: by old ones records are only flagged, and what is blocked stays out."""
        stale = self.readers[origin_verdicts.NAME].age() > self._stale_after
        if stale is not self._said_stale:
            self._said_stale = stale
            log.warning("verdicts_stale", stale=stale)
        return stale

    def versions(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(reader.version) for name, reader in self.readers.items()}

    def applied(self) -> tuple[AppliedTopic, ...]:
        """The versions, with the logs that they are of."""
        return tuple(
            AppliedTopic(topic=name, topic_id=reader.topic_id, version=tuple(reader.version))
            for name, reader in self.readers.items()
        )

    def _followed(self, topic: str, written: int) -> None:
        """`written` in ms by the publisher's clock: where it runs ahead of ours nothing can be told."""
        delay = max(0, self._now() - written) / 1000
        metrics.POLICY_DELAY_SECONDS.labels(topic=topic).observe(delay)

    def _tell(self, topic: str, outcome: Applied) -> None:
        """A record that was kept out changes nothing here; somebody should know that it was written."""
        self.changed.set()
        if outcome in KEPT_OUT:
            metrics.POLICY_KEPT_OUT.labels(topic=topic, cause=outcome).inc()
            partition, offset = self.readers[topic].place
            log.warning(
                "policy_record_kept_out", topic=topic, cause=outcome, partition=partition, offset=offset
            )
