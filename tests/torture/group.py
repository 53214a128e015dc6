"""What Kafka itself keeps of the archive's consumer group, and how it is made to lie.

librdkafka's admin client can abort its process when a broker dies under a request
(`rd_kafka_enq_once_del_source_return: Assertion 'eonce->refcnt > 0' failed`), so each request is a process:
`python -m tests.torture.group BOOTSTRAP GROUP TOPIC METHOD [NUMBER]` prints what the method returns.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # stubs miss it

ANSWER_WITHIN = 60.0  # seconds, broker restarts included
AWAY = (KafkaException, TimeoutError)  # the latter is of an answer that came not within ANSWER_WITHIN
ROOT = Path(__file__).parents[2]
TRIES = 5  # of a request whose process aborted
FAR = 10_000_000  # offsets ahead of anything that is there


class Group:
    """Asks in a process of its own. What that does may be done again: an abort costs another try."""

    def __init__(self, bootstrap: str, name: str, topic: str) -> None:
        self._asked = (bootstrap, name, topic)

    def partitions(self) -> int:
        return int(self._ask("partitions"))

    def grow(self, by: int) -> int:
        """More partitions for the topic; how many there are now."""
        return int(self._ask("grow_to", str(self.partitions() + by)))

    def falsify(self) -> tuple[int, int]:
        """As GroupAdmin's."""
        deleted, ahead = self._ask("falsify")
        return deleted, ahead

    def _ask(self, method: str, *arguments: str) -> Any:
        command = [sys.executable, "-m", __name__, *self._asked, method, *arguments]
        for _ in range(TRIES):
            found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
            if found.returncode != -signal.SIGABRT:
                break
        if found.returncode:
            raise TimeoutError(f"{method} of {self._asked} ended with {found.returncode}")
        return json.loads(found.stdout)


class GroupAdmin:
    def __init__(self, bootstrap: str, name: str, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._name, self._topic = name, topic

    def partitions(self) -> int:
        return len(self._admin.list_topics(self._topic, timeout=ANSWER_WITHIN).topics[self._topic].partitions)

    def grow_to(self, wanted: int) -> int:
        """More partitions for the topic; how many there are now."""
        if self.partitions() < wanted:
            request = self._admin.create_partitions([NewPartitions(self._topic, wanted)])
            request[self._topic].result(ANSWER_WITHIN)
        deadline = time.monotonic() + ANSWER_WITHIN
        while self.partitions() < wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.partitions()

    def falsify(self) -> tuple[int, int]:
        """Deletes the group and sets half of its partitions far ahead; how often each was seen to hold.

        Nobody may be in the group: waits until its dead members' sessions are over. The broker may be down
        for a while: what can't be done or seen in time counts as not done.
        """
        try:
            self._retried(self._delete)
            deleted = int(not self._committed())
        except AWAY:
            return 0, 0
        try:
            self._retried(self._set_ahead)
            return deleted, sum(offset == FAR for offset in self._committed().values())
        except AWAY:
            return deleted, 0

    def _delete(self) -> None:
        try:
            self._admin.delete_consumer_groups([self._name])[self._name].result(ANSWER_WITHIN)
        except KafkaException as error:
            if not _unknown_group(error):
                raise

    def _set_ahead(self) -> None:
        ahead = [
            TopicPartition(self._topic, number, FAR, f"{FAR}:{'0' * 64}")
            for number in range(0, self.partitions(), 2)
        ]
        request = [ConsumerGroupTopicPartitions(self._name, ahead)]
        self._admin.alter_consumer_group_offsets(request)[self._name].result(ANSWER_WITHIN)

    def _committed(self) -> dict[int, int]:
        """Nothing for a group that is not there."""
        asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self._name)])
        try:
            found = asked[self._name].result(ANSWER_WITHIN).topic_partitions or []
        except KafkaException as error:
            if _unknown_group(error):
                return {}
            raise
        return {place.partition: place.offset for place in found if place.offset >= 0}

    @staticmethod
    def _retried(step: Callable[[], None]) -> None:
        """The group refuses while somebody is still counted as a member, and a broker may be starting."""
        deadline = time.monotonic() + ANSWER_WITHIN
        while True:
            try:
                return step()
            except AWAY:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)


def _unknown_group(error: KafkaException) -> bool:
    return bool(error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)


if __name__ == "__main__":
    admin = GroupAdmin(*sys.argv[1:4])
    print(json.dumps(getattr(admin, sys.argv[4])(*map(int, sys.argv[5:]))))
