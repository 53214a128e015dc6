"""The judge's rules: observations in, verdicts out (docs/origins.md, What the judge weighs).

Pure and deterministic: a verdict depends on the observations of its write key alone, in the order in which
they are folded. What of it depends on that order is said there too.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind
from workers.origins import judge_state
from workers.origins.brakes import braked
from workers.origins.judge_state import HostState, KeyState
from workers.origins.weighing import FAMILIES, HELD, Pages, Rules, Weighed, established, pages, weigh


class Conclusion(msgspec.Struct, frozen=True):
    """A verdict that was not given yet, or a stronger one. `at` is append time."""

    key: str
    workspace: str
    host: str
    kind: VerdictKind
    at: int
    evidence: dict[str, float]
    families: tuple[str, ...]
    held: tuple[str, ...]  # why it is no copy

    @property
    def words(self) -> str:
        """For people, in one sentence or two; names no visitor."""
        found, trials = int(self.evidence["pages_found"]), int(self.evidence["pages_told"])
        said = [f"{found} of {trials} pages of {self.host} are the customer's own"]
        said += [FAMILIES[family] for family in self.families]
        words = "; ".join(said)
        return words + (
            "" if not self.held else ". No copy yet: " + "; ".join(HELD[why] for why in self.held)
        )


class Braked(NamedTuple):
    """A verdict that a brake holds back; somebody is to look."""

    workspace: str
    host: str
    brake: str


class Judge:
    """The keys of one partition of origin-observations."""

    def __init__(self, rules: Rules = Rules(), keys: dict[str, KeyState] | None = None) -> None:  # noqa: B008 # frozen
        self.rules = rules
        self.keys = keys if keys is not None else {}
        self.braked: list[Braked] = []  # which verdicts a brake began to hold back; for the caller to empty
        self.folded = 0  # observations that brought something new

    @classmethod
    def restored(cls, body: bytes, rules: Rules = Rules()) -> "Judge":  # noqa: B008 # frozen
        """From `snapshot`. Raises msgspec.MsgspecError."""
        return cls(rules, judge_state.decode(body))

    def snapshot(self) -> bytes:
        return judge_state.encode(self.keys)

    def fold(self, seen: OriginObservation) -> list[Conclusion]:
        """Takes an observation in and says what is to be said now that was not said before."""
        key = self.keys.get(seen.write_key)
        if key is None or key.workspace != seen.workspace:  # whose key it is now: it learns anew
            key = self.keys[seen.write_key] = KeyState(seen.workspace, seen.source)
        if not key.fold(seen):
            return []
        self.folded += 1
        if key.in_learning(key.clock):
            return []
        return list(self._conclusions(seen, key))

    def expire(self, now: int) -> None:
        """Forgets keys of which nothing came for 30 days before `now`, in append time."""
        for name in [name for name, key in self.keys.items() if key.clock < now - judge_state.EXPIRY]:
            del self.keys[name]

    def _conclusions(self, seen: OriginObservation, key: KeyState) -> Iterator[Conclusion]:
        """Of the host that was seen, and of those for which it is time."""
        for name, host in list(key.hosts.items()):
            waiting = host.due is not None and key.clock >= host.due
            if (name != seen.host and not waiting) or host.issued == VerdictKind.COPY.value:
                continue
            found = self._conclude(seen.write_key, key, name, host)
            if found is not None and found.kind.value != host.issued:
                host.issued = found.kind.value
                yield found

    def _conclude(self, key_name: str, key: KeyState, name: str, host: HostState) -> Conclusion | None:
        rules, now = self.rules, key.clock
        content = pages(key, host)
        copied = content.copied(rules)
        if not copied and not content.suspicious(rules):
            host.noticed_at = host.matched_at = host.due = None
            return None
        weighed = weigh(key, name, host, content.told, rules)
        host.noticed_at = _since(host.noticed_at, now, stands=copied or bool(weighed.families))
        host.matched_at = _since(host.matched_at, now, stands=copied)
        host.due = self._due(host, now)
        held = weighed.against if copied else ("pages", *weighed.against)
        if not held and self._settled(host.matched_at, now):
            brake = braked(key, host, established=lambda other: established(key, other))
            if brake is None:
                return _conclusion(key_name, key, name, VerdictKind.COPY, content, weighed, ())
            if brake != host.braked:
                self.braked.append(Braked(key.workspace, name, brake))
            host.braked = brake
            held = (brake,)
        else:
            host.braked = ""
        if held and self._settled(host.noticed_at, now):
            return _conclusion(key_name, key, name, VerdictKind.SUSPECT, content, weighed, held)
        return None

    def _due(self, host: HostState, now: int) -> int | None:
        """When what is known of it by now will have stood long enough."""
        times = (
            since + self.rules.settling for since in (host.matched_at, host.noticed_at) if since is not None
        )
        return min((at for at in times if at > now), default=None)

    def _settled(self, since: int | None, now: int) -> bool:
        return since is not None and now - since >= self.rules.settling


def _conclusion(
    key_name: str,
    key: KeyState,
    host: str,
    kind: VerdictKind,
    content: Pages,
    weighed: Weighed,
    held: tuple[str, ...],
) -> Conclusion:
    figures = {
        "pages_told": float(content.told),
        "pages_found": float(content.found),
        "content_match": content.match,
    }
    return Conclusion(
        key_name, key.workspace, host, kind, key.clock, figures | weighed.figures, weighed.families, held
    )


def _since(since: int | None, now: int, *, stands: bool) -> int | None:
    if not stands:
        return None
    return now if since is None else since
