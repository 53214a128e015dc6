"""A member as a process: how it ends when it is told to, when its owner fails, and when Kafka is away."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.stream.conftest import Log

END_WITHIN = 25.0  # seconds; a drain that never ends has 2 of them, leaving the group 15 at most


class Member:
    def __init__(self, bootstrap: str, topic: str, owner: str, folder: Path, errors: Path) -> None:
        self.errors = errors
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.stream.member", bootstrap, topic, owner],
            stdout=subprocess.PIPE,
            stderr=errors.open("w"),
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "TMPDIR": str(folder)},
        )
        self.said: queue.Queue[dict[str, object]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def hears(self, event: str, **fields: object) -> dict[str, object]:
        """The next line about `event` with these `fields`; the lines before it are skipped."""
        while True:
            said = self.said.get(timeout=END_WITHIN)
            if said["event"] == event and fields.items() <= said.items():
                return said

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds that it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_WITHIN), time.monotonic() - begun


class Start(Protocol):
    def __call__(self, owner: str, bootstrap: str = ...) -> Member: ...


@pytest.fixture
def member(log: Log, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    begun: list[Member] = []

    def start(owner: str, bootstrap: str = log.bootstrap) -> Member:
        errors = tmp_path_factory.mktemp("member") / "stderr"
        begun.append(Member(bootstrap, log.topic, owner, tmp_path, errors))
        return begun[-1]

    yield start
    for each in begun:
        with suppress(ProcessLookupError):
            each.process.kill()
        each.process.wait()


def test_sigterm_drains_leaves_the_group_and_exits_0(log: Log, member: Start, tmp_path: Path) -> None:
    log.produce([b"x"] * 10, 3)
    one = member("speaker")
    assert one.hears("take") == {"event": "take", "partition": 3, "end": 10}
    code, seconds = one.terminate()
    assert one.hears("drain")["heads"] == {"3": 10}
    assert one.hears("ended")
    assert (code, log.members()) == (0, 0)
    assert seconds < 5
    assert list(tmp_path.iterdir()) == []  # Faust makes a data folder if it may


def test_an_exception_in_the_owner_ends_the_process_with_1(log: Log, member: Start) -> None:
    log.produce([b"x"] * 10, 1)
    one = member("fails")
    one.hears("take")
    assert one.process.wait(END_WITHIN) == 1
    assert "a fault in the owner" in one.errors.read_text()
    assert log.members() == 0


@pytest.mark.parametrize(
    ("owner", "event", "allowed"),
    [("blocked", "take", 5.0), ("undecided", "claim", 5.0), ("endless", "claim", 7.0)],
)
def test_sigterm_ends_whatever_the_owner_is_waiting_for(
    log: Log, member: Start, owner: str, event: str, allowed: float
) -> None:
    for partition in range(4):
        log.produce([b"x"] * 10, partition)
    one = member(owner)
    one.hears(event)
    code, seconds = one.terminate()
    assert one.hears("drain")
    assert (code, log.members()) == (0, 0)
    assert seconds < allowed


def test_sigterm_while_the_group_waits_for_a_frozen_member(member: Start) -> None:
    one = member("speaker")
    one.hears("claim", partitions=[3])
    frozen = member("speaker")
    frozen.hears("claim")
    frozen.process.send_signal(signal.SIGSTOP)
    member("speaker")
    one.hears("revoked", partitions=[0, 1, 2, 3])
    one.hears("revoked")  # for the third, whose joining waits for the frozen one's session to end
    code, seconds = one.terminate()
    assert code == 0
    assert seconds < 15


def test_a_killed_members_share_is_taken_over(log: Log, member: Start) -> None:
    one, other = member("speaker"), member("speaker")
    other.hears("claim")
    other.process.kill()
    begun = time.monotonic()
    for partition in range(4):
        log.produce([b"x"] * 10, partition)
    assert {one.hears("take", end=10)["partition"] for _ in range(4)} == {0, 1, 2, 3}
    assert time.monotonic() - begun < 15  # the session of 6 s, and a rebalance


def test_a_broker_that_is_away_at_the_start_ends_the_process_with_1(member: Start) -> None:
    one = member("speaker", "127.0.0.1:1")
    assert one.process.wait(END_WITHIN) == 1
    assert "127.0.0.1:1 can't be reached" in one.errors.read_text()
