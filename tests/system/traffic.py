"""What customers' SDKs would send: envelopes with ids that a test can find again."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Producer

RECEIVED = "2026-11-25T10:00:00.000Z"


def envelope(key: str, message: str, *, origin: str | None = None, **event: object) -> bytes:
    """One `track` call; `messageId` is `message`."""
    value: dict[str, Any] = {
        "v": 1,
        "writeKey": key,
        "receivedAt": RECEIVED,
        "event": {"type": "track", "event": "Order Completed", "messageId": message, **event},
    }
    if origin is not None:
        value["origin"] = origin
    return json.dumps(value).encode()


def produce(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes]]) -> dict[int, int]:
    """Writes (key, value) pairs; returns partition → the log's end as the acknowledgements tell it."""
    ends: dict[int, int] = {}
    failures: list[str] = []

    def acknowledged(error: Any, message: Any) -> None:
        if error is not None:
            failures.append(str(error))
        else:
            ends[message.partition()] = max(ends.get(message.partition(), 0), message.offset() + 1)

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 20,
            "compression.type": "lz4",
            "message.max.bytes": 4_000_000,  # before it is compressed; the broker looks at it after
        }
    )
    for key, value in records:
        _produce(producer, topic, key, value, acknowledged)
    producer.flush(120)
    assert not failures, failures[:3]
    return ends


def _produce(
    producer: Producer, topic: str, key: str, value: bytes, acknowledged: Callable[[Any, Any], None]
) -> None:
    while True:
        try:
            producer.produce(topic, value, key, on_delivery=acknowledged)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)
