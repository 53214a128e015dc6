"""When Kafka was last heard, of each claimed partition and at all: silence looks like a quiet topic.

A fetch that never returns brings no error, and where its broker does not say either where the log ends, no
lag. Lives in the consumer's thread; the main loop reads.
"""

import asyncio
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal


class Hearing:
    def __init__(self, instance_id: str | None, session_timeout: float) -> None:
        self.at = monotonic()  # when anything was heard
        self.of: dict[TopicPartition, float] = {}  # when a broker last told of a partition, or we claimed it
        self._fetched: dict[TopicPartition, int] = {}
        self._instance_id = instance_id
        self._session_timeout = session_timeout
        self._beat_at = float("-inf")
        self._robbed = False

    def heard(self, tps: Iterable[TopicPartition] = ()) -> None:
        self.at = monotonic()
        self.of.update(dict.fromkeys(tps, self.at))

    def forget(self) -> None:
        """The partitions are not ours any more."""
        self.of = {}

    def listen(self, coordinator: Any) -> None:
        """Hears the answers to heartbeats, by a private method of aiokafka's."""
        beat = coordinator._do_heartbeat

        async def heartbeat() -> bool:
            member = coordinator.member_id
            well: bool = await beat()
            if well:
                self._beat_at = monotonic()
                self.heard()
            elif coordinator.member_id != member and monotonic() - self._beat_at < self._session_timeout:
                # the broker forgot a member that lives: aiokafka would only join again, and rob the other
                self._robbed = self._instance_id is not None
            return well

        coordinator._do_heartbeat = heartbeat

    def look(self, assignment: Any, tps: Iterable[TopicPartition]) -> None:
        """Notes which of the claimed partitions a fetch has told of. Raises Fatal for a stolen membership."""
        if self._robbed:
            raise Fatal(
                f"another live worker has joined the group under our static id {self._instance_id}",
                remedy="Give each worker a STRONGROOM_INSTANCE_ID of its own: two with one steal its "
                "partitions from each other",
            )
        for tp in tps:
            told = assignment.state_value(tp).timestamp
            if told is not None and told != self._fetched.get(tp):
                self._fetched[tp] = told
                self.heard([tp])


async def ends_of(
    leaders: Mapping[TopicPartition, int], fetcher: Any, timeout: float
) -> dict[TopicPartition, int]:
    """Where partitions end (with read_committed: their last stable offsets), by partition → leader.

    Those whose leader does not say within `timeout` seconds are missing: each is asked apart, so that one
    that is mute does not silence the others.
    """

    async def ask(leader: int) -> dict[TopicPartition, int]:
        led = [tp for tp in leaders if leaders[tp] == leader]
        try:
            ends: dict[TopicPartition, int] = await fetcher.end_offsets(led, timeout * 1000)
        except (KafkaError, TimeoutError):
            return {}
        return ends

    found = await asyncio.gather(*map(ask, set(leaders.values())))
    return {tp: end for ends in found for tp, end in ends.items()}
