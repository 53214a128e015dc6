"""How commands run: quietly, to their end, and not for ever waiting for what does not answer."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from workers.observe import logs
from workers.settings import LogFormat, LogLevel

if TYPE_CHECKING:
    from workers.store.retry import Retry

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Runs a command's coroutine to its end. What goes wrong is told by what it raises: logs stay quiet."""
    logs.configure(LogFormat.AUTO, LogLevel.ERROR, libraries=False)
    return asyncio.run(main)


def patient(seconds: float = 30.0) -> "Retry":
    """How long a command waits for what may pass: long enough for a hiccup, not for an outage."""
    from workers.store.retry import Retry  # noqa: PLC0415 - not for commands that wait for nothing

    return Retry(deadline=seconds)
