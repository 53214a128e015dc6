"""Metadata v10: the first version that knows topic ids (KIP-516). aiokafka 0.14.0 speaks up to v5."""

import asyncio
import base64
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.protocol.api import (  # type: ignore[import-untyped]  # aiokafka ships no types
    Request,
    RequestStruct,
    Response,
)
from aiokafka.protocol.types import (  # type: ignore[import-untyped]  # aiokafka ships no types
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

ZERO_ID = base64.urlsafe_b64encode(bytes(16)).decode().rstrip("=")


class PartitionMetadata(NamedTuple):
    leader: int  # node id, -1 where there is none
    replicas: int  # how many


class TopicMetadata(NamedTuple):
    error_code: int
    topic_id: str
    partitions: dict[int, PartitionMetadata]


class ClusterMetadata(NamedTuple):
    cluster_id: str | None
    topics: dict[str, TopicMetadata]


class TopicId:
    """A UUID on the wire: 16 bytes, as Kafka prints it (base64url without padding)."""

    def encode(self, value: str) -> bytes:
        return base64.urlsafe_b64decode(value + "==")

    def decode(self, data: BytesIO) -> str:
        return base64.urlsafe_b64encode(data.read(16)).decode().rstrip("=")


def _array(*fields: tuple[str, Any]) -> CompactArray:
    # aiokafka's CompactArray takes fields, but knows no field types of others
    array = CompactArray(Int32)
    array.array_of = Schema(*fields)
    return array


class MetadataResponse_v10(Response):  # type: ignore[misc]  # noqa: N801  # untyped; named as aiokafka names
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            _array(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            _array(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("topic_id", TopicId()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    _array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequest_v10(RequestStruct):  # type: ignore[misc]  # noqa: N801  # as above
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = MetadataResponse_v10
    SCHEMA = Schema(
        (
            "topics",
            _array(("topic_id", TopicId()), ("topic", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicIdRequest(Request[MetadataRequest_v10]):  # type: ignore[misc]  # untyped
    """Asks for `topics` by name, and creates none."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[MetadataRequest_v10]) -> MetadataRequest_v10:
        named: list[tuple[str, str, dict[int, bytes]]] = [(ZERO_ID, topic, {}) for topic in self._topics]
        return request_struct_class(named, False, False, False, {})


async def ask(client: Any, topics: list[str]) -> ClusterMetadata:
    """What a broker that `client` (an AIOKafkaClient) knows says. Raises aiokafka's errors."""
    return parse(await client.send(client.get_random_node(), TopicIdRequest(topics)))


async def ask_all(client: Any, topics: list[str]) -> list[ClusterMetadata]:
    """What each broker says that answers. Raises aiokafka's error of one of them where none does."""
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    answers = await asyncio.gather(
        *(client.send(node, TopicIdRequest(topics)) for node in nodes), return_exceptions=True
    )
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in failed:
        if len(failed) == len(answers) or not isinstance(error, KafkaError):
            raise error
    return [parse(answer) for answer in answers if not isinstance(answer, BaseException)]


def parse(response: Any) -> ClusterMetadata:
    topics = {}
    for error_code, name, topic_id, _, partitions, *_ in response.topics:
        found = {
            partition: PartitionMetadata(leader, len(replicas))
            for _, partition, leader, _, replicas, *_ in partitions
        }
        topics[name] = TopicMetadata(error_code, topic_id, found)
    return ClusterMetadata(response.cluster_id, topics)
