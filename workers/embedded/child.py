"""A process of the embedded stack: on a leash, with its log in a file, waited for until it answers."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from workers.errors import StrongroomError

POLL = 0.05  # seconds
ATTEMPTS = 3  # a port that was free may be taken before the process has it
TAIL = 25  # lines


class Broken(StrongroomError):
    """A process of the stack did not do what it is here for."""


class Child:
    """Started at once. Its standard output and error go to `{name}.log` in `folder`, where it also runs."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            # its own session: Ctrl-C is for us, we end our children in order
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "workers.embedded.leash", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=dict(environ),
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    async def until(self, answers: Callable[[], Awaitable[bool]], timeout: float) -> None:
        """Returns when `answers` says yes. Raises Broken if the process ends, or after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not await answers():
            self.check()
            if time.monotonic() > deadline:
                raise Broken(f"{self.name} does not answer after {timeout:.0f} s; {self.last_words()}")
            await asyncio.sleep(POLL)

    def check(self) -> None:
        """Raises Broken if the process has ended."""
        if self.exit_code is not None:
            raise Broken(f"{self.name} ended with exit code {self.exit_code}; {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL:]
        text = "\n".join(f"  {line[:500]}" for line in lines)
        return f"{self.log} ends with\n{text}" if lines else f"{self.log} is empty"

    async def stop(self, timeout: float) -> int:
        """SIGTERM; returns the exit code. What still runs after `timeout` seconds is killed, as code 137."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + timeout
            # polled: a process tells nobody that it ended
            while self.exit_code is None and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(POLL)
        self.kill()
        return self._process.returncode if self._process.returncode >= 0 else 128 - self._process.returncode

    def kill(self) -> None:
        """The process and all that it started. Nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


async def start_server(
    name: str,
    command: Callable[[int], Sequence[str]],
    answers: Callable[[int], Awaitable[bool]],
    folder: Path,
    environ: Mapping[str, str],
    timeout: float,
) -> tuple[Child, int]:
    """Starts a server on a free port of this machine; returns when it answers. Raises Broken."""
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        child = Child(name, command(port), folder, environ)
        try:
            await child.until(lambda port=port: answers(port), timeout)  # type: ignore[misc] # bound early
        except Broken:
            taken = child.exit_code is not None
            child.kill()
            if not taken or attempt == ATTEMPTS:
                raise
        except BaseException:
            child.kill()
            raise
        else:
            return child, port
    raise AssertionError("the last attempt returns or raises")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
