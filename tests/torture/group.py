"""What Kafka itself keeps of the archive's consumer group, and how it is made to lie."""

import time
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # stubs miss it

ANSWER_WITHIN = 30.0  # seconds, broker restarts included
FAR = 10_000_000  # offsets ahead of anything that is there


class Group:
    def __init__(self, bootstrap: str, name: str, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._name, self._topic = name, topic

    def partitions(self) -> int:
        return len(self._admin.list_topics(self._topic, timeout=ANSWER_WITHIN).topics[self._topic].partitions)

    def grow(self, by: int) -> int:
        """More partitions for the topic; how many there are now."""
        wanted = self.partitions() + by
        self._admin.create_partitions([NewPartitions(self._topic, wanted)])[self._topic].result(ANSWER_WITHIN)
        deadline = time.monotonic() + ANSWER_WITHIN
        while self.partitions() < wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.partitions()

    def falsify(self) -> tuple[int, int]:
        """Deletes the group and sets half of its partitions far ahead; how often each was seen to hold.

        Nobody may be in the group: waits until its dead members' sessions are over.
        """
        if not self._retried(self._delete):
            return 0, 0
        deleted = int(not self._committed())
        ahead = [
            TopicPartition(self._topic, number, FAR, f"{FAR}:{'0' * 64}")
            for number in range(0, self.partitions(), 2)
        ]
        if not self._retried(lambda: self._set(ahead)):
            return deleted, 0
        return deleted, sum(offset == FAR for offset in self._committed().values())

    def _delete(self) -> None:
        self._admin.delete_consumer_groups([self._name])[self._name].result(ANSWER_WITHIN)

    def _set(self, offsets: list[Any]) -> None:
        request = [ConsumerGroupTopicPartitions(self._name, offsets)]
        self._admin.alter_consumer_group_offsets(request)[self._name].result(ANSWER_WITHIN)

    def _committed(self) -> dict[int, int]:
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self._name)])
        try:
            found = asked[self._name].result(ANSWER_WITHIN).topic_partitions or []
        except KafkaException:
            return {}
        return {place.partition: place.offset for place in found if place.offset >= 0}

    @staticmethod
    def _retried(step: Any) -> bool:
        """Whether it could be done: the group is refused while somebody is still counted as a member."""
        deadline = time.monotonic() + ANSWER_WITHIN
        while True:
            try:
                step()
                return True
            except KafkaException:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.3)
