"""What is done to the archive processes: killed at each stage, suspended, stopped, and all lost at once."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.torture.crew import SESSION_TIMEOUT, Crew, Member
from tests.torture.group import Group
from tests.torture.nemesis import Actions
from tests.torture.s3_faults import StoreProxies, Trap
from tests.torture.tally import Tally

CATCH_WITHIN = 20.0  # seconds for a request of the wanted kind to come; then it is an ordinary kill
START_WITHIN = 120.0  # seconds for a worker that starts to claim something; 5 on a quiet machine

GENESIS = r"^GET .*/ledger/.*/genesis\.json$"
OBJECT = r"^PUT .*/data/"
ENTRY = r"^PUT .*/ledger/.*/\d{20}\.json$"

PROCESS_FAULTS = (
    "kill_anywhere",
    "kill_starting",  # within two seconds of its start
    "kill_claiming",  # while it reads where a partition's chain ends
    "kill_uploading",  # its object has been sent, and never arrives
    "kill_before_entry",  # its objects are there, its entry never arrives
    "kill_after_entry",  # its entry is there, and it never hears of it
    "kill_late_entry",  # its entry arrives seconds after its death
    "pause",  # suspended for longer than its session, and resumed
    "pause_in_flight",  # the same with an entry under way, which arrives before it wakes
    "stop",  # SIGTERM, and started again
    "outage",  # all killed at once; while they are away, the two that follow
    "hints_forward",  # the group's offsets were set far ahead, naming entries that don't exist
    "hints_deleted",  # the group was deleted
)


class ProcessFaults:
    def __init__(
        self, crew: Crew, proxies: StoreProxies, group: Group, tally: Tally, rng: random.Random
    ) -> None:
        self.crew, self.proxies, self.group, self.tally, self.rng = crew, proxies, group, tally, rng
        self.kills = 0
        self._timers: list[threading.Timer] = []

    def actions(self) -> Actions:
        """Name → (weight, what to do)."""
        return {
            "kill_anywhere": (6, self.kill_anywhere),
            "kill_starting": (3, self.kill_starting),
            "kill_claiming": (3, lambda: self.kill_caught("kill_claiming", GENESIS, starting=True)),
            "kill_uploading": (4, lambda: self.kill_caught("kill_uploading", OBJECT)),
            "kill_before_entry": (4, lambda: self.kill_caught("kill_before_entry", ENTRY)),
            "kill_after_entry": (
                4,
                lambda: self.kill_caught("kill_after_entry", ENTRY, after_server=True),
            ),
            "kill_late_entry": (4, lambda: self.kill_caught("kill_late_entry", ENTRY, then="late")),
            "pause": (1, self.pause),
            "pause_in_flight": (1, self.pause_in_flight),
            "stop": (2, self.stop),
            "outage": (1, self.outage),
        }

    def close(self) -> None:
        """Waits for what is still to be passed on late."""
        for timer in self._timers:
            timer.join()

    def kill_anywhere(self) -> None:
        member = self._someone()
        time.sleep(self.rng.uniform(0, 1.5))
        with member.reserved():
            self._kill(member, "kill_anywhere")
            member.start()

    def kill_starting(self) -> None:
        member = self._someone()
        with member.reserved():
            self._kill(member, "kill_anywhere")
            member.start()
            time.sleep(self.rng.uniform(0.1, 2.0))
            self._kill(member, "kill_starting")
            member.start()

    def kill_caught(
        self,
        kind: str,
        matching: str,
        *,
        then: str = "drop",
        after_server: bool = False,
        starting: bool = False,
    ) -> None:
        """Kills it while one of its requests is under way."""
        member = self._someone() if starting else self.crew.at_work(self.rng)
        with member.reserved():
            if starting:
                self._kill(member, "kill_anywhere")
            with self._trapped(member, Trap(matching, then, after_server)) as trap:
                if starting:
                    member.start()
                caught = trap.caught.wait(START_WITHIN if starting else CATCH_WITHIN)
                done = caught and not (after_server and trap.status != 200)
                self._kill(member, kind if done else "kill_anywhere")
                if caught and then == "late":
                    self._release_later(member, trap)
            member.start()

    def pause(self) -> None:
        member = self._someone()
        with member.reserved():
            self._suspended(member, "pause", lambda: time.sleep(self._overslept()))

    def pause_in_flight(self) -> None:
        member = self.crew.at_work(self.rng)
        with member.reserved(), self._trapped(member, Trap(ENTRY, "pass")) as trap:
            if not trap.caught.wait(CATCH_WITHIN):
                return

            def while_suspended() -> None:
                time.sleep(self._overslept())
                self.proxies.do(member.store.release(trap))
                time.sleep(0.5)

            self._suspended(member, "pause_in_flight", while_suspended)

    def stop(self) -> None:
        member = self._someone()
        with member.reserved():
            if member.running.process.poll() is None:
                code = member.running.stop()
                self.tally.count("stop", 1 if code == 0 else 0)
            member.start()

    def outage(self) -> None:
        """Nobody is there; what Kafka keeps of the group goes or lies. Then all come back."""
        with ExitStack() as held:
            for member in self.crew.members:
                held.enter_context(member.reserved())
            alive = [m for m in self.crew.members if m.running.process.poll() is None and m.kill()]
            self.kills += len(alive)
            deleted, forwarded = self.group.falsify()
            self.tally.count("hints_deleted", deleted)
            self.tally.count("hints_forward", forwarded)
            self.tally.count("outage", len(alive) if deleted and forwarded else 0)
            for member in self.crew.members:
                member.start()

    # -- inside -----------------------------------------------------------------------------------

    def _someone(self) -> Member:
        return self.rng.choice(self.crew.members)

    def _overslept(self) -> float:
        return SESSION_TIMEOUT + self.rng.uniform(1, 4)

    def _kill(self, member: Member, kind: str) -> None:
        if member.running.process.poll() is None and member.kill():
            self.kills += 1
            self.tally.count(kind)

    def _suspended(self, member: Member, kind: str, meanwhile: Callable[[], None]) -> None:
        if member.running.process.poll() is not None:
            return
        member.running.suspend()
        try:
            meanwhile()
        finally:
            member.running.resume()
        self.tally.count(kind)

    @contextmanager
    def _trapped(self, member: Member, trap: Trap) -> Iterator[Trap]:
        self.proxies.do(member.store.set_trap(trap))
        try:
            yield trap
        finally:
            if trap.then != "late" or not trap.caught.is_set():
                self.proxies.do(member.store.release(trap))

    def _release_later(self, member: Member, trap: Trap) -> None:
        timer = threading.Timer(self.rng.uniform(0, 9), lambda: self.proxies.do(member.store.release(trap)))
        self._timers.append(timer)
        timer.start()
