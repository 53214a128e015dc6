"""A process on a leash ends when it is told to, when it should, and when whoever started it is gone."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.embedded.child import Broken, Child, start_server

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER
POLITE = (
    "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7));"
    "print(os.getpid(), flush=True); time.sleep(600)"
)
PARENT = """
import os, sys, time
from pathlib import Path
from workers.embedded.child import Child
Child("it", [sys.executable, "-c", sys.argv[2]], Path(sys.argv[1]), os.environ)
time.sleep(600)
"""


def child(folder: Path, code: str) -> Child:
    return Child("it", [sys.executable, "-c", code], folder, os.environ)


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter: it went while it was read
        return False


async def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def started(it: Child) -> int:
    """The process id of the command behind the leash."""
    await eventually(lambda: it.log.read_text().endswith("\n"))
    return int(it.log.read_text())


async def test_sigterm_reaches_the_command_and_its_exit_code_comes_back(tmp_path: Path) -> None:
    it = child(tmp_path, POLITE)
    pid = await started(it)
    assert await it.stop(10) == 7
    assert not runs(pid)


async def test_what_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    it = child(tmp_path, STUBBORN)
    pid = await started(it)
    assert await it.stop(0.2) == 137
    await eventually(lambda: not runs(pid))


@pytest.mark.parametrize("code", [SLEEPER, STUBBORN])
async def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path, code: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), code])  # noqa: ASYNC220 - at once
    log = tmp_path / "it.log"
    await eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    pid = int(log.read_text())
    assert runs(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    await eventually(lambda: not runs(pid))


async def test_ctrl_c_on_the_terminal_is_not_for_the_command(tmp_path: Path) -> None:
    it = child(tmp_path, SLEEPER)
    pid = await started(it)
    assert os.getpgid(pid) != os.getpgid(os.getpid())
    it.kill()
    await eventually(lambda: not runs(pid))


async def test_an_end_before_the_answer_is_told_with_its_last_words(tmp_path: Path) -> None:
    it = child(tmp_path, "print('the disk is full'); raise SystemExit(3)")

    async def never() -> bool:
        return False

    with pytest.raises(Broken, match=r"exit code 3(.|\n)*the disk is full"):
        await it.until(never, 30)


async def test_no_answer_in_time_is_told(tmp_path: Path) -> None:
    it = child(tmp_path, SLEEPER)

    async def never() -> bool:
        return False

    with pytest.raises(Broken, match="does not answer after 0 s"):
        await it.until(never, 0.1)
    it.kill()


async def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(tmp_path: Path) -> None:
    ports: list[int] = []

    def command(port: int) -> list[str]:
        ports.append(port)
        return [sys.executable, "-c", SLEEPER if len(ports) == 3 else "raise SystemExit('in use')"]

    async def answers(port: int) -> bool:
        return len(ports) == 3

    it, port = await start_server("it", command, answers, tmp_path, os.environ, 30)
    assert port == ports[-1]
    it.kill()


async def test_a_server_that_never_starts_is_given_up(tmp_path: Path) -> None:
    async def answers(port: int) -> bool:
        return False

    with pytest.raises(Broken, match="no such option"):
        await start_server(
            "it",
            lambda port: [sys.executable, "-c", "raise SystemExit('no such option')"],
            answers,
            tmp_path,
            os.environ,
            30,
        )
