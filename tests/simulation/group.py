"""A consumer group's coordinator: who is alive, who reads what, and the offsets that members leave."""

import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.simulation.loop import Loop, Process

SESSION = 10.0  # seconds without a heartbeat after which a member is given up


class Evicted(Exception):
    """The coordinator does not know this member, or not in this generation: join again."""


class Assignment(NamedTuple):
    generation: int
    partitions: frozenset[int]


class Group:
    """Every change of members or partitions takes all partitions from all members, as Kafka's eager protocol.

    A member that does not come back within the session is given up. `forget` makes the coordinator answer a
    member as if all were well although its partitions are another's: two writers that both believe.
    """

    def __init__(
        self,
        loop: Loop,
        server: Process,
        rng: random.Random,
        partitions: Callable[[], int],
        note: Callable[[str, str], None],
    ) -> None:
        self._loop, self._server, self._rng, self._note = loop, server, rng, note
        self._partitions = partitions
        self.generation = 0
        self.offsets: dict[int, tuple[int, str]] = {}
        self.committed: Callable[[int, int], None] = lambda partition, offset: None
        self.assigned: dict[str, frozenset[int]] = {}
        self._heard: dict[str, float] = {}  # every member
        self._joined: set[str] = set()  # those that wait for the next generation
        self._rebalancing = False
        self._forgotten: dict[str, float] = {}  # member → until when it is told that all is well
        self.rebalances = 0

    # -- what members ask ------------------------------------------------------------------------------

    def join(self, member: str) -> Assignment | None:
        """Asked again and again until there is an assignment."""
        if member in self.assigned and not self._rebalancing and member in self._joined:
            return Assignment(self.generation, self.assigned[member])
        if member not in self._heard or not self._rebalancing:
            self._rebalance()
        self._hear(member)
        self._joined.add(member)
        self._forgotten.pop(member, None)
        if self._joined >= self._heard.keys():
            self._assign()
            return Assignment(self.generation, self.assigned[member])
        return None

    def heartbeat(self, member: str, generation: int) -> None:
        """Raises Evicted."""
        if self._loop.time() < self._forgotten.get(member, -1.0):
            return
        if member not in self._heard:
            raise Evicted(f"{member} is not known")
        self._hear(member)
        if self._rebalancing or generation != self.generation:
            raise Evicted("a rebalance is under way")

    def leave(self, member: str) -> None:
        if self._heard.pop(member, None) is not None:
            self._rebalance()

    def commit(self, member: str, generation: int, hints: Mapping[int, tuple[int, str]]) -> None:
        """Raises Evicted for who has been given up."""
        if generation != self.generation or member not in self.assigned:
            raise Evicted(f"{member} commits in generation {generation}, it is {self.generation}")
        for partition, hint in hints.items():
            self.offsets[partition] = hint
            self.committed(partition, hint[0])

    # -- what the harness does ---------------------------------------------------------------------------

    def forget(self, member: str, seconds: float) -> bool:
        """True if it really had partitions that are now another's."""
        held = bool(self.assigned.get(member))
        if member not in self._heard or len(self._heard) < 2:
            return False
        del self._heard[member]
        self._forgotten[member] = self._loop.time() + seconds
        self._rebalance()
        return held

    def partitions_changed(self) -> None:
        self._rebalance()

    # -- inside ------------------------------------------------------------------------------------------

    def _hear(self, member: str) -> None:
        now = self._heard[member] = self._loop.time()

        def expire() -> None:
            if self._heard.get(member) != now:
                return
            del self._heard[member]
            self._joined.discard(member)
            self._rebalance()
            if self._joined and self._joined >= self._heard.keys():
                self._assign()

        self._loop.call_later(SESSION, expire, context=self._server.context)

    def _rebalance(self) -> None:
        if not self._rebalancing:
            self._rebalancing = True
            self.rebalances += 1
            self._joined = set()

    def _assign(self) -> None:
        self._rebalancing = False
        self.generation += 1
        members = sorted(self._heard)
        self._rng.shuffle(members)
        numbers = range(self._partitions())
        self.assigned = {
            member: frozenset(number for number in numbers if members[number % len(members)] == member)
            for member in members
        }
        told = ", ".join(f"{member} {sorted(numbers)}" for member, numbers in self.assigned.items())
        self._note("group", f"generation {self.generation}: {told}")
