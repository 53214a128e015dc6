"""What goes wrong in the in-memory store: every fault of docs/s3.md, by rule or by seed, never by time."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import NamedTuple

READS = frozenset({"get", "stat"})
LISTS = frozenset({"list", "versions"})
PUT, DELETE = frozenset({"put"}), frozenset({"delete"})
ANY = PUT | DELETE | READS | LISTS


class Fault(Enum):
    """What happens to one request. The value says to which operations it can happen."""

    LOST_RESPONSE = ("lost_response", PUT | DELETE)  # done, then the connection is lost
    OWN_WRITE_REFUSED = ("own_write_refused", PUT)  # done; the client's own second try reports 412
    LATE_WRITE = ("late_write", PUT)  # time-out; the write is applied when nobody waits for it any more
    TIMED_OUT = ("timed_out", ANY)  # time-out, nothing was done
    CONFLICT = ("conflict", PUT)  # 409, nothing was done
    REFUSED = ("refused", PUT)  # 412 though the name may be free
    NOT_FOUND = ("not_found", READS)  # 404 though the object may be there
    SERVER_ERROR = ("server_error", ANY)  # 500, nothing was done
    UNAVAILABLE = ("unavailable", ANY)  # 503
    SLOW_DOWN = ("slow_down", ANY)  # 503 SlowDown
    UNAUTHENTICATED = ("unauthenticated", ANY)  # 401
    DENIED = ("denied", ANY)  # 403
    KEPT = ("kept", DELETE)  # this one key of the request stays
    HELD = ("held", ANY)  # waits until `Faults.release`, then goes on as if nothing had been

    @property
    def operations(self) -> frozenset[str]:
        return self.value[1]


# what a store does to an honest writer; REFUSED and NOT_FOUND are somebody deleting, HELD needs its release
PASSING = (
    Fault.LOST_RESPONSE,
    Fault.OWN_WRITE_REFUSED,
    Fault.LATE_WRITE,
    Fault.TIMED_OUT,
    Fault.CONFLICT,
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE,
    Fault.SLOW_DOWN,
    Fault.UNAUTHENTICATED,
    Fault.DENIED,
)


@dataclass(eq=False)
class Rule:
    """Which requests go wrong, and how."""

    faults: Sequence[Fault]  # one of them, drawn with the plan's seed
    operation: str  # put, get, stat, list, versions, delete, or * for each
    key: str  # shell pattern; `*` matches `/` too; for list and versions, of the prefix
    skip: int  # so many matching requests pass first
    times: int | None  # then so many go wrong; None: all that follow
    chance: float  # of each of those, drawn with the plan's seed
    lands_after: int | None  # requests until a late write is applied; None: when the store is told to
    hits: int = 0

    def candidates(self, operation: str, key: str) -> list[Fault]:
        if self.operation not in ("*", operation) or not fnmatchcase(key, self.key):
            return []
        return [fault for fault in self.faults if operation in fault.operations]


class Injected(NamedTuple):
    operation: str
    key: str
    fault: Fault


class Faults:
    """Rules in order; the first that matches and draws its chance decides. The same seed, rules and requests
    give the same faults."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(seed)  # noqa: S311 # replayed, not secret
        self._rules: list[Rule] = []
        self._gate = asyncio.Event()
        self.injected: list[Injected] = []

    def add(
        self,
        *faults: Fault,
        operation: str = "*",
        key: str = "*",
        skip: int = 0,
        times: int | None = 1,
        chance: float = 1.0,
        lands_after: int | None = None,
    ) -> Rule:
        """Adds a rule (see Rule) and returns it: `hits` tells whether it struck, `remove` ends it."""
        rule = Rule(faults, operation, key, skip, times, chance, lands_after)
        self._rules.append(rule)
        return rule

    def storm(self, chance: float, *, key: str = "*", lands_after: int | None = 3) -> Rule:
        """Each request fails with this chance, in one of the ways that an honest writer must survive."""
        return self.add(*PASSING, key=key, times=None, chance=chance, lands_after=lands_after)

    def remove(self, rule: Rule) -> None:
        self._rules.remove(rule)

    def clear(self) -> None:
        """Ends all rules, and lets held requests go on."""
        self._rules.clear()
        self.release()

    def release(self) -> None:
        """Lets the requests that HELD stopped go on; later ones are held again."""
        self._gate.set()
        self._gate = asyncio.Event()

    async def released(self) -> None:
        await self._gate.wait()

    def draw(self, operation: str, key: str) -> tuple[Fault, Rule] | None:
        """What happens to this request; None: nothing."""
        for rule in self._rules:
            candidates = rule.candidates(operation, key)
            if not candidates or rule.times == 0:
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.chance < 1.0 and self._rng.random() >= rule.chance:
                continue
            if rule.times is not None:
                rule.times -= 1
            rule.hits += 1
            fault = candidates[0] if len(candidates) == 1 else self._rng.choice(candidates)
            self.injected.append(Injected(operation, key, fault))
            return fault, rule
        return None
