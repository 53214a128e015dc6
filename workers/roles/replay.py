"""The steward's replay of unclaimed records: pass by pass, beside the sweep and never in its way.

It needs what the sweep does not: Kafka, for a copy of policy, and the keystore. While one of them is away
it waits, as a declared hold, and the sweep goes on.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Protocol

import structlog

from workers import opening
from workers.errors import Retryable
from workers.intake.policy import Policy
from workers.ledger.entries import Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.pack import Compression, Packer
from workers.ledger.replay import Pass, Replay
from workers.observe import metrics
from workers.roles.first_of import first_of
from workers.roles.policy_copy import PolicyCopy
from workers.roles.process import now
from workers.settings import Settings
from workers.store.port import Store
from workers.store.retry import Hold, Retry, cause_of

log = structlog.get_logger()

PAUSE = 10.0  # seconds until what was away is asked again
LOOKS = 20  # at what may be over before


class Copy(Protocol):
    """This process's copy of policy; see workers.roles.policy_copy."""

    def stale(self) -> bool: ...

    async def follow(self) -> None:
        """Until cancelled; raises what ended it."""


Opened = Callable[[], AbstractAsyncContextManager[tuple[Replay, Copy]]]


class Replaying:
    """`opened` gives what passes work with until that breaks off; `interval` is in seconds."""

    def __init__(self, opened: Opened, interval: float, hold: Hold, now: Callable[[], int]) -> None:
        self._opened = opened
        self._interval = interval
        self._hold = hold
        self._now = now  # ms since the epoch
        self.busy = False  # in a pass

    async def run(self) -> None:
        """Until cancelled. Raises Fatal for what a person must mend: a missing topic, a wrong root key."""
        while True:
            try:
                async with self._opened() as (replay, copy):
                    await first_of(partial(self._passes, replay, copy), copy.follow)
            except Retryable as error:
                self.busy = False
                await self._wait(cause_of(error), error.message, lambda: False)

    async def _passes(self, replay: Replay, copy: Copy) -> None:
        while True:
            if copy.stale():
                why = "the copy of write keys or workspaces is too old to replay by"
                await self._wait("policy_stale", why, lambda: not copy.stale())
                continue
            self.busy = True
            found = await replay.run_pass()
            self.busy = False
            measure(found, self._now())
            tell(found)
            await asyncio.sleep(self._interval)

    async def _wait(self, cause: str, why: str, over: Callable[[], bool]) -> None:
        """A declared hold of PAUSE at most."""
        release = self._hold(cause, why)
        try:
            for _ in range(LOOKS):
                await asyncio.sleep(PAUSE / LOOKS)
                if over():
                    return
        finally:
            release()


def can_replay(settings: Settings) -> bool:
    """Whether the settings name a root key. Says so if they do not: the steward then only sweeps."""
    if settings.kms_keys is not None or settings.root_key_file is not None:
        return True
    log.warning("replay_off", remedy="Unclaimed records wait and expire: give the steward a root key")
    return False


@asynccontextmanager
async def open_replay(
    settings: Settings, ledger: Store, data: Store, retry: Retry, step: Callable[[], None]
) -> AsyncIterator[tuple[Replay, Copy]]:
    """Raises Retryable while Kafka or a keystore is away."""
    async with AsyncExitStack() as opened:
        keys = await opened.enter_async_context(opening.open_keystore(settings))
        policy = Policy()
        copy = PolicyCopy(
            opening.kafka(settings), settings.topic_prefix, policy, settings.policy_stale_after, now
        )
        opened.push_async_callback(copy.stop)
        await copy.start()
        host = socket.gethostname()
        flusher = Flusher(
            data=data,
            ledger=ledger,
            keys=keys,
            packer=Packer(Compression(settings.compression), settings.compression_level),
            writer=Writer(settings.instance_id or host, version("strongroom")),
            retry=retry,
            threads=opened.enter_context(ThreadPoolExecutor(1, "seal")),
            uploads=Uploads(settings.put_concurrency),
            now=now,
            uploaded=step,
        )
        log.info("policy_loaded", keys=len(policy), versions=copy.versions())
        yield Replay(keys, flusher, policy, copy.stale, copy.versions, host, step), copy


def measure(found: Pass, ended: int) -> None:
    metrics.UNCLAIMED_OBJECTS.set(found.objects)
    metrics.UNCLAIMED_RECORDS.set(found.records)
    metrics.UNCLAIMED_BYTES.set(found.bytes)
    metrics.REPLAY_DUE.set(found.due)
    metrics.REPLAY_BROKEN.set(len(found.broken))
    metrics.REPLAY_ENDED.set(ended / 1000)
    metrics.REPLAY_FAILED.inc(found.failed)
    for (became, reason), count in found.replayed.items():
        metrics.REPLAYED.labels(disposition=became, reason=reason).inc(count)


def tell(found: Pass) -> None:
    """Of a pass that did nothing, nothing is said."""
    if not found.entries and not found.failed:
        return
    log.info(
        "replayed",
        entries=found.entries,
        **{reason: count for (_, reason), count in sorted(found.replayed.items())},
        failed=found.failed,
        objects_left=found.objects,
        due=found.due,
    )
