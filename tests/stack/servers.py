"""A server of the test stack, started, stopped and killed alike whether container or child process."""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from testcontainers.core.container import DockerContainer

from tests.stack.ladder import STACK, NoStack


def free_ports(count: int) -> list[int]:
    """That many ports of loopback which nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Server(Protocol):
    """`start` after `stop` or `kill` finds the data and the port again; `close` ends it for good."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def alive(self) -> bool: ...
    def log(self) -> str: ...
    def close(self) -> None: ...


class ContainerServer:
    def __init__(self, container: DockerContainer) -> None:
        self._container = container
        self._created = False

    @property
    def _docker(self) -> Any:  # docker-py has no types
        return self._container.get_wrapped_container()

    def start(self) -> None:
        if self._created:
            self._docker.start()
        else:
            self._container.start()
            self._created = True

    def stop(self) -> None:
        self._docker.stop(timeout=30)

    def kill(self) -> None:
        self._docker.kill("SIGKILL")
        self._docker.wait(timeout=30)

    def alive(self) -> bool:
        self._docker.reload()
        return bool(self._docker.status == "running")

    def log(self) -> str:
        return bytes(self._docker.logs(tail=40)).decode(errors="replace")

    def close(self) -> None:
        self._container.stop()


class ChildServer:
    """A child process with a folder under .stack/run, where down.sh finds its number if we get killed.

    `argv` makes the command line from that folder and must name it (down.sh looks for that); `prepare` is run
    once before the first start.
    """

    def __init__(
        self,
        name: str,
        argv: Callable[[Path], Sequence[str]],
        *,
        env: dict[str, str] | None = None,
        prepare: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        self.folder = STACK / "run" / f"{name}-{uuid.uuid4().hex[:8]}"
        self.folder.mkdir(parents=True)
        prepare(self.folder)
        self._argv, self._env = argv(self.folder), env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise NoStack(f"{self.folder.name} was not started")
        return self._process

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            # a session of its own: Ctrl-C on the tests ends it in order, not in the middle of a test
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        (self.folder / "pid").write_text(str(self._process.pid))

    def stop(self) -> None:
        self._running.terminate()
        self._running.wait(30)

    def kill(self) -> None:
        self._running.kill()
        self._running.wait(30)

    def alive(self) -> bool:
        return self._running.poll() is None

    def log(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-40:])

    def close(self) -> None:
        if self._process is not None and self.alive():
            self.kill()
        shutil.rmtree(self.folder)


class ExternalServer:
    """Somebody else's server: it can be used, and not killed."""

    def start(self) -> None:
        return

    def _refuse(self) -> None:
        raise NoStack(
            "this test stops or kills a server, and TEST_KAFKA_BOOTSTRAP / TEST_S3_ENDPOINT name one that "
            "is not ours: unset them, or leave the test out by name"
        )

    stop = kill = _refuse

    def alive(self) -> bool:
        return True

    def log(self) -> str:
        return "(an external server's log is not ours to read)"

    def close(self) -> None:
        return


def wait_until(answers: Callable[[], bool], server: Server, what: str, within: float) -> None:
    """Returns once `answers()`; raises NoStack with the server's log if it ends or takes longer."""
    deadline = time.monotonic() + within
    while not answers():
        if not server.alive():
            raise NoStack(f"{what} ended by itself:\n{server.log()}")
        if time.monotonic() > deadline:
            raise NoStack(f"{what} did not answer within {within:.0f} s:\n{server.log()}")
        time.sleep(0.1)
