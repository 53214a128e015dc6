"""A proxy between a worker and its Kafka that reads the protocol, and so can choose what goes wrong."""

import asyncio
import struct
from collections.abc import Coroutine, Iterable
from io import BytesIO
from typing import Any

from aiokafka.protocol import fetch  # type: ignore[import-untyped]  # aiokafka ships no types

from tests.stack.fault_proxy import End, FaultProxy
from tests.stack.kafka import Kafka

FETCH, LIST_OFFSETS, OFFSET_COMMIT = 1, 2, 8  # Kafka's API keys
COORDINATOR_LOADING, NOT_COORDINATOR, METADATA_TOO_LARGE = 14, 16, 12  # and its error codes


class KafkaFaults(FaultProxy):
    """Listens where `kafka` says that its second listener is. Faults hold until `heal`."""

    def __init__(self, kafka: Kafka) -> None:
        assert kafka.ports is not None, "an external Kafka can't be put behind a proxy"
        super().__init__(kafka.ports.proxied, kafka.ports.behind_proxy)
        self.frozen: frozenset[int] = frozenset()
        self.starved: frozenset[int] = frozenset()
        self.refusal: int | None = None
        self.refused = 0

    def freeze(self, *keys: int) -> None:
        """Nothing passes any more on a connection that has asked or asks any of these: it is half open.

        Others are not. An answer that is under way does not come either.
        """
        self.frozen = frozenset(keys)

    def starve(self, *partitions: int) -> None:
        """The broker is not asked for records of these any more: as if their fetch never returned."""
        self.starved = frozenset(partitions)

    def refuse_commits(self, error: int) -> None:
        """Answers each commit of offsets with this error. (The broker has them all the same.)"""
        self.refusal = error

    def heal(self) -> None:
        """Breaks all connections too: what is half open would stay so until the worker's own time-outs."""
        self.frozen, self.starved, self.refusal = frozenset(), frozenset(), None
        self.cut()
        super().heal()

    def _ways(self, client: End, server: End) -> Iterable[Coroutine[Any, Any, None]]:
        wire = _Wire(self)
        return wire.requests(client[0], server[1]), wire.answers(server[0], client[1])


class _Wire:
    """One connection."""

    def __init__(self, faults: KafkaFaults) -> None:
        self._faults = faults
        self._asked: set[int] = set()
        self._commits: dict[int, int] = {}  # correlation id → version of the request

    @property
    def _half_open(self) -> bool:
        return not self._asked.isdisjoint(self._faults.frozen)

    async def requests(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while True:
            frame = await _read(client)
            key, version, correlation = struct.unpack_from(">hhi", frame)
            self._asked.add(key)
            if self._half_open:
                continue
            if key == OFFSET_COMMIT:
                self._commits[correlation] = version
            if key == FETCH and self._faults.starved:
                frame = without(frame, version, self._faults.starved)
            await _write(server, frame)

    async def answers(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while True:
            frame = await _read(server)
            await self._faults._flowing.wait()
            if self._half_open:
                continue
            version = self._commits.pop(struct.unpack_from(">i", frame)[0], None)
            if version is not None and self._faults.refusal is not None:
                frame = refused(frame, version, self._faults.refusal)
                self._faults.refused += 1
            await _write(client, frame)


def without(request: bytes, version: int, partitions: frozenset[int]) -> bytes:
    """A Fetch request that does not ask for these partitions, of whatever topic."""
    after_header = 10 + max(
        0, struct.unpack_from(">h", request, 8)[0]
    )  # key, version, correlation; client id
    schema = getattr(fetch, f"FetchRequest_v{version}").SCHEMA
    values = list(schema.decode(BytesIO(request[after_header:])))
    at = schema.names.index("topics")
    values[at] = [
        (topic, [each for each in asked if each[0] not in partitions]) for topic, asked in values[at]
    ]
    return request[:after_header] + bytes(schema.encode(values))


def refused(answer: bytes, version: int, error: int) -> bytes:
    """An OffsetCommit response (kafka.apache.org/protocol, versions up to 3) with each error replaced."""
    assert version <= 3, f"version {version} of OffsetCommit is another format"
    body, at = bytearray(answer), 4 + (4 if version == 3 else 0)  # correlation id, throttle time
    topics, at = struct.unpack_from(">i", body, at)[0], at + 4
    for _ in range(topics):
        at += 2 + struct.unpack_from(">h", body, at)[0]  # the name
        partitions, at = struct.unpack_from(">i", body, at)[0], at + 4
        for _ in range(partitions):
            struct.pack_into(">h", body, at + 4, error)  # after the partition's number
            at += 6
    return bytes(body)


async def _read(source: asyncio.StreamReader) -> bytes:
    try:
        (length,) = struct.unpack(">i", await source.readexactly(4))
        return await source.readexactly(length)
    except asyncio.IncompleteReadError as end:
        raise ConnectionResetError from end  # ends the other way as well


async def _write(sink: asyncio.StreamWriter, frame: bytes) -> None:
    sink.write(struct.pack(">i", len(frame)) + frame)
    await sink.drain()
