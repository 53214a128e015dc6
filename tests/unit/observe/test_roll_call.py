"""Who counts as having applied a change: by fresh reports alone, of the log that the change is in."""

from dataclasses import dataclass, field

from topics.policy_applied import Applied, PolicyApplied, codec
from workers.observe.roll_call import FORGOTTEN_AFTER_MS, GONE_AFTER_MS, Mark, RollCall

NOW = 1_000_000_000_000
MARK = Mark("write-keys", "log-1", {1: 7})


@dataclass
class World:
    now: int = NOW
    roll: RollCall = field(init=False)

    def __post_init__(self) -> None:
        self.roll = RollCall(lambda: self.now)

    def says(
        self, worker: str, *version: int, at: int | None = None, topic_id: str = "log-1", age_ms: int = 0
    ) -> None:
        report = PolicyApplied(
            worker=worker,
            at=self.now if at is None else at,
            age_ms=age_ms,
            stale_after_ms=5000,
            applied=(Applied(topic="write-keys", topic_id=topic_id, version=version),),
        )
        self.roll.hear(worker.encode(), codec.encode(report))


def test_who_reports_the_version_has_confirmed_and_who_reports_less_lags() -> None:
    world = World()
    world.says("a", 3, 7)
    world.says("b", 900, 6)
    world.says("c", 3, 8)
    world.roll.begin((MARK,))
    heard = world.roll.look()
    assert (heard.confirmed, heard.lagging, heard.silent) == (("a", "c"), {"b": 1}, {})
    world.says("b", 900, 7)
    assert world.roll.look().confirmed == ("a", "b", "c")


def test_an_old_report_proves_nothing() -> None:
    world = World()
    world.says("a", 3, 7, at=NOW - GONE_AFTER_MS - 1)
    world.roll.begin((MARK,))
    heard = world.roll.look()
    assert (heard.confirmed, heard.lagging, heard.silent) == ((), {}, {"a": GONE_AFTER_MS + 1})


def test_who_falls_silent_while_we_wait_is_waited_for() -> None:
    world = World()
    world.says("a", 3, 6)
    world.roll.begin((MARK,))
    assert world.roll.look().lagging == {"a": 1}
    world.now += 10 * GONE_AFTER_MS
    assert world.roll.look().lagging == {"a": 1}
    world.says("a", 3, 7)
    assert world.roll.look().confirmed == ("a",)


def test_who_stops_in_order_is_not_waited_for() -> None:
    world = World()
    world.says("a", 3, 6)
    world.roll.begin((MARK,))
    assert world.roll.look().lagging
    world.roll.hear(b"a", None)
    heard = world.roll.look()
    assert (heard.confirmed, heard.lagging, heard.silent) == ((), {}, {})


def test_who_speaks_is_alive_whatever_its_clock_says() -> None:
    world = World()
    world.says("a", 3, 7, at=NOW - 3_600_000)
    world.roll.begin((MARK,))
    assert world.roll.look().silent == {"a": 3_600_000}
    world.says("a", 3, 7, at=NOW - 3_599_000)
    assert world.roll.look().confirmed == ("a",)


def test_offsets_of_another_log_say_nothing() -> None:
    world = World()
    world.says("a", 3, 700, topic_id="log-0")
    world.says("b")
    world.roll.begin((MARK,))
    assert world.roll.look().lagging == {"a": 8, "b": 8}


def test_of_several_topics_all_must_be_applied() -> None:
    world = World()
    world.says("a", 3, 7)
    world.roll.begin((MARK, Mark("workspaces", "log-2", {0: 2})))
    assert world.roll.look().lagging == {"a": 3}


def test_garbage_is_nobodys_report_and_the_long_gone_are_forgotten() -> None:
    world = World()
    world.roll.hear(b"a", b"{}")
    world.roll.hear(None, b"\xff")
    world.says("b", 3, 7, at=NOW - FORGOTTEN_AFTER_MS - 1)
    world.roll.begin((MARK,))
    heard = world.roll.look()
    assert (heard.confirmed, heard.lagging, heard.silent) == ((), {}, {})
