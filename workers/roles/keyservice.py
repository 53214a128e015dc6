"""The key service as a process: it listens, keeps its keystore fresh, and says whether it is ready."""

import asyncio

import structlog

from workers import opening
from workers.errors import Retryable
from workers.keyservice.listener import Listener
from workers.keyservice.service import Service
from workers.observe.health import Verdict
from workers.roles import process
from workers.roles.process import now
from workers.sealing.keystore import Keystore
from workers.settings import Settings
from workers.tls import server_context

log = structlog.get_logger()

LOOK_EVERY = 5.0  # seconds between looks at the tombstone log, or a twentieth of a cache's life


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped it otherwise. Returns the exit code."""
    return process.run(settings, _serve, stopped="stopped")


async def _serve(settings: Settings) -> None:
    cert_file, key_file = settings.keyservice_cert_file, settings.keyservice_key_file
    context = server_context(cert_file=cert_file, key_file=key_file) if cert_file and key_file else None
    async with opening.health_server(settings) as server, opening.open_keystore(settings) as keystore:
        service = Service(
            keystore,
            region=settings.keyservice_region,
            rate=settings.keyservice_rate,
            failure_rate=settings.keyservice_failure_rate,
            timeout=settings.keyservice_timeout,
            now=now,
        )
        watch = Watch(keystore, min(LOOK_EVERY, settings.key_cache_life / 20))
        async with Listener(
            service,
            settings.keyservice_host,
            settings.keyservice_port,
            context,
            connections_max=settings.keyservice_connections,
            timeout=settings.keyservice_timeout,
        ):
            server.watch(watch)
            await watch.run()


class Watch:
    """Looks at the tombstone log, ahead of what the keystore does by itself: revocations arrive sooner.

    `every`: seconds.
    """

    def __init__(self, keystore: Keystore, every: float) -> None:
        self._keystore, self._every = keystore, every
        self._reached = False

    def livez(self) -> Verdict:
        return Verdict(True, "listening")

    def readyz(self) -> Verdict:
        """Once the keystore was reached: in an outage later on, calls are answered with words for it."""
        return Verdict(self._reached, "ready" if self._reached else "the keystore was not reached")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._keystore.poll()
                self._reached = True
            except Retryable as error:
                log.warning("keystore_not_reached", why=error.message)
            await asyncio.sleep(self._every)
