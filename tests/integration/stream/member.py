"""A member of a group as its own process: `python -m tests.integration.stream.member BOOTSTRAP TOPIC OWNER`.

Prints a line of JSON for what happens to it, and ends as `ArchiveStream.run` ends.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace

import structlog

from tests.integration.stream.recorder import QUICK, Recorder
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.chunk import Chunk
from workers.stream.connection import KafkaConnection


def say(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


class Speaker(Recorder):
    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        say("claim", partitions=sorted(partitions))
        return await super().claim(partitions)

    async def revoked(self, partitions: frozenset[int]) -> None:
        say("revoked", partitions=sorted(partitions))

    async def take(self, chunk: Chunk) -> None:
        await super().take(chunk)
        say("take", partition=chunk.partition, end=chunk.end)

    async def drain(self) -> None:
        say("drain", heads=self.ledger.heads)


class Fails(Speaker):
    async def take(self, chunk: Chunk) -> None:
        say("take", partition=chunk.partition, end=chunk.end)
        raise RuntimeError("a fault in the owner")


class Blocked(Speaker):
    """Back-pressure that nothing releases."""

    async def take(self, chunk: Chunk) -> None:
        await super().take(chunk)
        await asyncio.Event().wait()


class Undecided(Speaker):
    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        say("claim", partitions=sorted(partitions))
        await asyncio.Event().wait()
        raise AssertionError


class Endless(Speaker):
    async def drain(self) -> None:
        say("drain")
        await asyncio.Event().wait()


def main(bootstrap: str, topic: str, owner: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    options = replace(QUICK, drain_timeout=2.0, stop_signals=StreamOptions().stop_signals)
    speaker: Speaker = {
        "speaker": Speaker, "fails": Fails, "blocked": Blocked, "undecided": Undecided, "endless": Endless
    }[owner]()  # fmt: skip
    stream = ArchiveStream(KafkaConnection(bootstrap), topic, f"group-of-{topic}", speaker, options)
    asyncio.run(stream.run())
    say("ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
