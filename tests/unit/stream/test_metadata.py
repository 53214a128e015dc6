"""Metadata v10 on the wire, against bytes taken down by hand from the protocol's definition (KIP-516)."""

import base64
import uuid

from workers.stream.metadata import (
    ZERO_ID,
    MetadataRequest_v10,
    MetadataResponse_v10,
    PartitionMetadata,
    TopicIdRequest,
    TopicMetadata,
    parse,
)

TOPIC_ID = uuid.UUID("2bf25c3d-b7b7-4272-99cf-24f2332a320c").bytes


def test_a_request_names_topics_and_creates_none() -> None:
    request = TopicIdRequest(["raw"]).build(MetadataRequest_v10)
    assert request.encode() == (
        b"\x02"  # one topic
        + bytes(16)  # no id: it is asked for by name
        + b"\x04raw\x00"  # name, no tags
        + b"\x00\x00\x00"  # no auto-creation, no operations of the cluster or the topics
        + b"\x00"  # no tags
    )
    assert request.build_request_header(7, "me").encode() == b"\x00\x03\x00\x0a\x00\x00\x00\x07\x00\x02me\x00"


def test_a_response_tells_ids_leaders_and_replicas() -> None:
    wire = (
        b"\x00\x00\x00\x00"  # throttle
        + b"\x02\x00\x00\x00\x01\x05host\x00\x00\x23\x84\x00\x00"  # broker 1 at host:9092, no rack, no tags
        + b"\x08cluster\x00\x00\x00\x01"  # cluster id, controller 1
        + b"\x03"  # two topics
        + b"\x00\x00\x04raw"
        + TOPIC_ID
        + b"\x00\x02"  # not internal, one partition
        + b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05"  # partition 0, leader 1, epoch 5
        + b"\x03\x00\x00\x00\x01\x00\x00\x00\x02\x02\x00\x00\x00\x01\x01\x00"  # 2 replicas, 1 in sync
        + b"\x80\x00\x00\x00\x00"  # operations unknown, no tags
        + b"\x00\x03\x05none"  # unknown topic
        + bytes(16)
        + b"\x00\x01\x80\x00\x00\x00\x00"
        + b"\x80\x00\x00\x00\x00"
    )
    cluster = parse(MetadataResponse_v10.decode(wire))
    assert cluster.cluster_id == "cluster"
    kafka_prints = base64.urlsafe_b64encode(TOPIC_ID).decode()[:22]
    assert cluster.topics == {
        "raw": TopicMetadata(0, kafka_prints, {0: PartitionMetadata(leader=1, replicas=2)}),
        "none": TopicMetadata(3, ZERO_ID, {}),
    }


def test_the_zero_id_is_as_kafka_prints_it() -> None:
    assert ZERO_ID == "AAAAAAAAAAAAAAAAAAAAAA"
