"""The archive processes under torture, each behind its own proxy, and who starts them again."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.system.fleet import Fleet, Worker
from tests.torture.s3_faults import StoreProxy

SESSION_TIMEOUT = 6.0  # seconds; the least that a broker allows by default (group.min.session.timeout.ms)
LOOK = 0.2  # seconds between looks at who has ended
AT_WORK = 3.0  # seconds since it archived something
AT_WORK_WITHIN = 15.0  # seconds that a fault waits for somebody who is
BACKOFF = 1.0  # seconds until one that ended by itself is started again, as an orchestrator would

SETTINGS = {
    "STRONGROOM_SESSION_TIMEOUT": str(SESSION_TIMEOUT),
    "STRONGROOM_HEARTBEAT_INTERVAL": "1",
    "STRONGROOM_FLUSH_BYTES": "400000",
    "STRONGROOM_SHUTDOWN_TIMEOUT": "5",
    "STRONGROOM_KEY_CACHE_LIFE": "15",
    "STRONGROOM_PROGRESS_TIMEOUT": "60",
}


@dataclass
class Member:
    """One place in the group. While `reserved`, nobody but the holder touches its process."""

    fleet: Fleet
    name: str
    store: StoreProxy
    settings: dict[str, str]
    worker: Worker | None = None
    _busy: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        with self._busy:
            yield

    @property
    def running(self) -> Worker:
        assert self.worker is not None, f"{self.name} was not started"
        return self.worker

    def start(self) -> None:
        self.worker = self.fleet.worker(self.name, **self.settings)

    def kill(self) -> bool:
        """SIGKILL; whether that is what it died of."""
        self.running.kill()
        return self.running.process.returncode == -9

    def ended(self) -> int | None:
        """The exit code of one that is neither running nor in anybody's hands."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return None if self.worker is None else self.worker.process.poll()
        finally:
            self._busy.release()

    def revive(self) -> int | None:
        """Starts it again if it has ended by itself; the exit code."""
        with self._busy:
            code = self.running.process.poll()
            if code is not None:
                self.start()
            return code


class Crew:
    """Entered, its members run and are kept running."""

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self.ended: Counter[str] = Counter()  # by themselves: exit code and last words → times
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._keep_running, name="crew", daemon=True)

    def start(self) -> None:
        for member in self.members:
            member.start()
        self._watch.start()

    def wait_ready(self, within: float) -> None:
        """Raises AssertionError for one that is not."""
        deadline = time.monotonic() + within
        for member in self.members:
            while member.running.get("/readyz")[0] != 200:
                assert time.monotonic() < deadline, f"{member.name} is not ready:\n{member.running.log()}"
                time.sleep(0.2)

    def at_work(self, rng: random.Random) -> Member:
        """One that archives just now, so that a fault finds something under way; anyone if nobody does."""
        deadline = time.monotonic() + AT_WORK_WITHIN
        while (now := time.monotonic()) < deadline:
            busy = [member for member in self.members if now - member.store.archived_at < AT_WORK]
            if busy:
                return rng.choice(busy)
            time.sleep(0.1)
        return rng.choice(self.members)

    def stop(self) -> dict[str, int]:
        """Stops all in order; name → exit code."""
        self._stop.set()
        self._watch.join()
        return {member.name: member.running.stop() for member in self.members}

    def close(self) -> None:
        self._stop.set()
        for member in self.members:
            if member.worker is not None and member.worker.process.poll() is None:
                member.worker.kill()

    def said(self) -> dict[str, int]:
        """Log line → times, over all processes that there were."""
        counts: Counter[str] = Counter()
        for worker in self.members[0].fleet.workers:
            for line in worker.log_file.read_text(errors="replace").splitlines():
                if (words := _parsed(line)) is not None:
                    counts[str(words.get("event"))] += 1
        return dict(counts)

    def _keep_running(self) -> None:
        while not self._stop.wait(LOOK):
            for member in self.members:
                if member.ended() is not None:
                    dead = member.running
                    self._stop.wait(BACKOFF)
                    if (code := member.revive()) is not None:
                        self.ended[f"{code}: {_last_words(dead)}"] += 1


def _parsed(line: str) -> dict[str, object] | None:
    try:
        words = json.loads(line)
    except ValueError:
        return None
    return words if isinstance(words, dict) else None


def _last_words(worker: Worker) -> str:
    lines = worker.log().splitlines()
    return lines[-1][:300] if lines else ""
