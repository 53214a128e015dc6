"""What every role does as a process: it logs, works until it is told to stop, and tells the time."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine

import structlog

from workers.observe.logs import configure
from workers.settings import Settings

log = structlog.get_logger()


def now() -> int:
    """ms since the epoch."""
    return time.time_ns() // 1_000_000


def run(settings: Settings, work: Callable[[Settings], Coroutine[None, None, None]], *, stopped: str) -> int:
    """Works until SIGTERM or SIGINT, which cancel it: then logs `stopped`, and returns the exit code.

    Raises what stopped the work otherwise.
    """
    configure(settings.log_format, settings.log_level)
    if settings.allow_clear_text:
        log.warning("clear_text_allowed", remedy="Unset STRONGROOM_ALLOW_CLEAR_TEXT: what passes can be read")
    asyncio.run(_run(work(settings), stopped))
    return 0


async def _run(work: Coroutine[None, None, None], stopped: str) -> None:
    task = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info(stopped)
