"""The floor: what nobody can do without, in one Python loop. No framework, and nothing survives a crash.

librdkafka consumes, msgspec decodes the write key, a set drops, zstd-1 and AES-256-GCM seal an object a key,
and the worker's own light path PUTs it. KAFKA_TRUST names an authority, for brokers that speak TLS.

    python -m tests.benchmarks.peers.floor BOOTSTRAP TOPIC PARTITIONS COUNT ENDPOINT BUCKET FLUSH_BYTES DROP,…
"""

import asyncio
import os
import secrets
import sys
import uuid
from collections import Counter

import msgspec
import zstandard
from confluent_kafka import Consumer, TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.store.port import IF_ABSENT
from workers.store.s3 import open_s3


class Head(msgspec.Struct):
    write_key: str = msgspec.field(name="writeKey")


async def main(
    bootstrap: str, topic: str, partitions: int, count: int, endpoint: str, bucket: str, limit: int, drop: str
) -> None:
    store = await open_s3(bucket, endpoint=endpoint, region="us-east-1")
    trust = os.environ.get("KAFKA_TRUST")
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            **({"security.protocol": "ssl", "ssl.ca.location": trust} if trust else {}),
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    decode, compress = msgspec.json.Decoder(Head).decode, zstandard.ZstdCompressor(level=1).compress
    dropped = frozenset(drop.split(","))
    groups: dict[int, dict[str, list[bytes]]] = {partition: {} for partition in range(partitions)}
    held: Counter[int] = Counter()
    seen = 0

    async def flush(partition: int) -> None:
        places = asyncio.Semaphore(16)

        async def put(name: str, lines: list[bytes]) -> None:
            async with places:
                key, nonce = AESGCM(secrets.token_bytes(32)), secrets.token_bytes(12)
                sealed = key.encrypt(nonce, compress(b"\n".join((*lines, b""))), None)
                await store.put(f"{name}/{uuid.uuid4().hex}", sealed, condition=IF_ABSENT)

        await asyncio.gather(*(put(*group) for group in groups[partition].items()))
        groups[partition].clear()
        held[partition] = 0

    while seen < count:
        for message in consumer.consume(1000, 1.0):
            value, partition = message.value(), message.partition()
            assert value is not None
            assert partition is not None
            seen += 1
            name = decode(value).write_key
            if name in dropped:
                continue
            groups[partition].setdefault(name, []).append(value)
            held[partition] += len(value)
        for partition in range(partitions):
            if held[partition] >= limit or (seen == count and held[partition]):
                await flush(partition)
    consumer.close()
    await store.close()


if __name__ == "__main__":
    bootstrap, topic, partitions, count, endpoint, bucket, limit, drop = sys.argv[1:]
    asyncio.run(main(bootstrap, topic, int(partitions), int(count), endpoint, bucket, int(limit), drop))
