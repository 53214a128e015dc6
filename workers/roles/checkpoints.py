"""The steward's checkpoints: a pass over all chains, then copies for the audit topic, beside its other work.

A pass needs no Kafka. While that is away, what was written waits to be told, and the next pass goes on.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Protocol

import structlog

from topics import audit
from workers import opening
from workers.errors import Retryable
from workers.ledger.checkpoint import Vouched, audit_record
from workers.ledger.checkpointing import Checkpointer, Pass
from workers.ledger.entries import Writer
from workers.ledger.names import ChainId
from workers.observe import metrics
from workers.roles.process import now
from workers.sealing.signing import Signer, Trust
from workers.settings import Settings
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> object: ...


class Checkpointing:
    """`publisher` is opened when there is something to tell; `interval` is in seconds."""

    def __init__(
        self,
        checkpointer: Checkpointer,
        publisher: Callable[[], AbstractAsyncContextManager[Publisher]],
        topic: str,
        host: str,
        interval: float,
        step: Callable[[], None],
        now: Callable[[], int],
    ) -> None:
        self._checkpointer, self._publisher = checkpointer, publisher
        self._topic, self._host, self._interval = topic, host, interval
        self._step, self._now = step, now
        self._told: dict[ChainId, int] = {}  # `first` of what the audit topic has; each start tells once more
        self.busy = False  # in a pass

    async def run(self) -> None:
        """Until cancelled. Raises Fatal for what a person must mend: a missing audit topic."""
        while True:
            self.busy = True
            found = await self._checkpointer.run_pass()
            await self._tell(found.newest)
            self.busy = False
            self._step()
            metrics.CHECKPOINTS_ENDED.set(self._now() / 1000)
            measure(found)
            await asyncio.sleep(self._interval)

    async def _tell(self, newest: list[Vouched]) -> None:
        untold = [each for each in newest if self._told.get(each.checkpoint.chain) != each.checkpoint.first]
        metrics.CHECKPOINTS_UNTOLD.set(len(untold))
        if not untold:
            return
        try:
            async with self._publisher() as publisher:
                for each in untold:
                    record = audit_record(each, self._host)
                    key, value = audit.record_key(record), audit.codec.encode(record)
                    await publisher.send_and_wait(self._topic, key, value)
                    self._told[each.checkpoint.chain] = each.checkpoint.first
                    metrics.CHECKPOINTS_UNTOLD.dec()
                    self._step()
        except Retryable as error:
            log.warning("checkpoints_untold", why=error.message, remedy="The next pass tells them")


def signs_checkpoints(settings: Settings) -> bool:
    """Says so if the settings name no key to sign with."""
    if settings.checkpoint_key_file is not None:
        return True
    log.info("checkpoints_off", remedy="STRONGROOM_CHECKPOINT_KEY_FILE turns them on")
    return False


@asynccontextmanager
async def open_checkpointing(
    settings: Settings, ledger: Store, retry: Retry, step: Callable[[], None]
) -> AsyncIterator[Checkpointing]:
    """Raises Fatal for a key file that can't be used."""
    signer = Signer.load(opening.needed(settings, "checkpoint_key_file"))
    trusted = settings.checkpoint_trust_file
    trust = signer.trust if trusted is None else Trust.load(trusted)
    host = socket.gethostname()
    async with opening.open_checkpoints(settings, ledger) as stores:
        checkpointer = Checkpointer(
            stores,
            signer,
            trust,
            Writer(settings.instance_id or host, version("strongroom")),
            retry,
            every=settings.checkpoint_entries,
            now=now,
            step=step,
        )
        log.info("checkpoints_on", key=signer.key, buckets=[store.name for store in stores])
        yield Checkpointing(
            checkpointer,
            lambda: opening.open_publisher(settings),
            f"{settings.topic_prefix}{audit.NAME}",
            host,
            settings.checkpoint_interval,
            step,
            now,
        )


def measure(found: Pass) -> None:
    metrics.CHECKPOINTS.inc(found.written)
    metrics.CHECKPOINTS_REFUSED.set(len(found.refused))
    metrics.CHECKPOINTS_FORGED.set(len(found.forged))
    for chain, why in found.refused.items():
        log.error("checkpoint_refused", chain=chain, why=why, remedy="Run `strongroom verify`")
    for where, why in found.forged:
        log.warning("checkpoint_forged", where=where, why=why)
    if found.written:
        log.info("checkpoints_written", chains=found.chains, written=found.written)
