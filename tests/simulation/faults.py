"""The faults of a simulation: every row of the ledger's own list, by name, and how each is done.

What a fault really did is counted when it strikes, not when it is planned: a fault that never struck is a
fault of the harness.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from workers.store.faults import Fault as Bad

if TYPE_CHECKING:
    from tests.simulation.plan import Strike
    from tests.simulation.world import World

SECOND, HOUR = 1_000, 3_600_000  # ms
STEPS = (
    "put data sent",
    "put data landed",
    "put entry sent",
    "put entry landed",
    "put genesis sent",
    "put genesis landed",
    "get genesis sent",
    "get entry landed",
    "list landed",
)


class Fault(NamedTuple):
    row: str  # of "faults it is tested against"
    inject: Callable[["World", "Strike"], None] | None  # None: it is in what is produced
    weight: float = 1.0  # how often it is drawn
    lasts: tuple[float, float] = (0.0, 0.0)  # seconds
    strikes_writer: bool = False  # else a partition, or all
    early: bool = False  # only at the very beginning


def _kill(world: "World", strike: "Strike") -> None:
    world.counts["kill"] += world.worker(strike).kill()


def _kill_at(step: str) -> Callable[["World", "Strike"], None]:
    """When the writer next comes to this step, or one of the times after."""

    def inject(world: "World", strike: "Strike") -> None:
        world.worker(strike).dies_at = (strike.fault, step, 1 + strike.amount % 2)

    return inject


def _partial_puts(world: "World", strike: "Strike") -> None:
    world.worker(strike).dies_at = (strike.fault, "put data landed", 1 + strike.amount % 2)


def _stop(world: "World", strike: "Strike") -> None:
    world.counts["stop"] += world.worker(strike).stop()


def _pause(world: "World", strike: "Strike") -> None:
    process = world.worker(strike).process
    if process is None or process.paused:
        return
    world.counts[strike.fault] += 1
    process.paused = True

    def resume() -> None:
        process.paused = False

    world.later(strike.lasts, resume)


def _two_writers(world: "World", strike: "Strike") -> None:
    process = world.worker(strike).process
    if process is not None:
        world.counts["two_writers"] += world.group.forget(process.name, strike.lasts)


def _answers(*bad: Bad, operation: str = "put") -> Callable[["World", "Strike"], None]:
    """A few requests go wrong: of entries, of objects, or of any."""

    def inject(world: "World", strike: "Strike") -> None:
        key = ("ledger/*", "data/*", "*")[strike.amount % 3]
        times = 1 + strike.amount // 3 % 4
        lands_after = 1 + strike.amount // 12 * 3
        world.store.faults.add(*bad, operation=operation, key=key, times=times, lands_after=lands_after)

    return inject


def _storm(*bad: Bad) -> Callable[["World", "Strike"], None]:
    """All requests may go wrong for a time."""

    def inject(world: "World", strike: "Strike") -> None:
        chance = (0.3, 0.7, 1.0)[strike.amount % 3]
        rule = world.store.faults.add(*bad, times=None, chance=chance, lands_after=3)

        def pass_by() -> None:
            rule.times = 0

        world.later(strike.lasts, pass_by)

    return inject


def _denied(world: "World", strike: "Strike") -> None:
    world.worker(strike).denied_until = world.loop.time() + strike.lasts


def _deleted_entry(world: "World", strike: "Strike") -> None:
    """The newest entry; or the next one, right after it was written and before its writer heard of it."""
    partition = strike.who % len(world.topic.logs)
    if strike.amount % 2:
        world.deletes_next.add(partition)
        return
    newest = world.newest_entry(partition)
    if newest is not None:
        world.delete_entry(newest)


def _clock_skew(world: "World", strike: "Strike") -> None:
    worker = world.worker(strike)
    worker.skew += (strike.amount - 50) * HOUR // 2
    world.counts["clock_skew"] += 1


def _clock_jump(world: "World", strike: "Strike") -> None:
    """The broker's, and with it all that is true: forward or back."""
    world.jumped += (strike.amount - 50) * HOUR // 5
    world.counts["clock_jump"] += 1


def _topic_recreated(world: "World", strike: "Strike") -> None:
    world.recreate_topic()
    world.counts["topic_recreated"] += 1


def _truncated(world: "World", strike: "Strike") -> None:
    """Under the head; then it grows past it, maybe at once."""
    partition = strike.who % len(world.topic.logs)
    log = world.topic.logs[partition]
    head = world.head(partition)
    if head is None or head <= log.start:
        return
    log.cut(max(log.start, head - 1 - strike.amount % 4))
    world.loses(partition, "head_above_log_end", "anchor_differs")
    world.counts["truncated"] += 1
    if strike.amount % 2:
        world.produce_now(partition, ["whale"] * (3 + strike.amount % 7))


def _retention_at_opening(world: "World", strike: "Strike") -> None:
    world.expires_at_opening[strike.who % len(world.topic.logs)] = 1 + strike.amount % 3


def _retention(world: "World", strike: "Strike") -> None:
    """As it should: what is archived expires, and the anchor's record with it.

    Not where the log was just cut: with the anchor's record goes the last trace of that, and no ledger could
    tell. Retention takes days, in which the partition is claimed many times.
    """
    partition = strike.who % len(world.topic.logs)
    log, head = world.topic.logs[partition], world.head(partition)
    if head is not None and head > log.start and not log.epoch:
        log.expire(head - (strike.amount % 3 if strike.amount % 2 else 0))
        world.counts["retention"] += 1


def _retention_overtakes(world: "World", strike: "Strike") -> None:
    partition = strike.who % len(world.topic.logs)
    log, head = world.topic.logs[partition], world.head(partition)
    if log.epoch:
        return  # see _retention
    log.expire(log.start + 1 + strike.amount % 20)
    if head is None or head < log.start:
        world.loses(partition, "log_start_above_head")
        world.counts["retention_overtakes"] += head is not None


def _offsets_forward(world: "World", strike: "Strike") -> None:
    partition = strike.who % len(world.topic.logs)
    offset = world.topic.logs[partition].end + strike.amount
    newest = world.newest_entry(partition)
    digest = "0" * 64
    hint = (
        "",
        f"{offset}:{digest}",
        f"{newest[-25:-5].lstrip('0') or '0'}:{digest}" if newest else "nonsense",
    )
    world.group.offsets[partition] = (offset, hint[strike.amount % 3])
    world.counts["offsets_forward"] += 1


def _offsets_lost(world: "World", strike: "Strike") -> None:
    world.counts["offsets_lost"] += bool(world.group.offsets)
    world.group.offsets.clear()


def _partition_growth(world: "World", strike: "Strike") -> None:
    if len(world.topic.logs) < 4:
        world.topic.grow()
        world.group.partitions_changed()
        world.counts["partition_growth"] += 1
        world.later(0.5, lambda: world.produce_now(len(world.topic.logs) - 1, ["whale", "unknown"]))


def _broker_restart(world: "World", strike: "Strike") -> None:
    world.kafka.paused = True
    world.counts["broker_restart"] += 1

    def back() -> None:
        world.kafka.paused = False

    world.later(strike.lasts, back)


def _cut(server: str) -> Callable[["World", "Strike"], None]:
    def inject(world: "World", strike: "Strike") -> None:
        world.later(strike.lasts, world.network.cut(world.worker(strike).name, server))

    return inject


def _policy_down(world: "World", strike: "Strike") -> None:
    world.worker(strike).policy_old_until = world.loop.time() + strike.lasts


def _keystore_down(world: "World", strike: "Strike") -> None:
    world.keystore_down_until = world.loop.time() + strike.lasts


def _sweep(world: "World", strike: "Strike") -> None:
    world.steward.begin(world.loop.time() + strike.lasts, float(strike.amount % 2 * (strike.amount % 20)))


def _consume(world: "World", strike: "Strike") -> None:
    pause = float(strike.amount % 3 == 0) * (strike.amount % 20)
    world.consumers.begin(world.loop.time() + strike.lasts, 2 + strike.amount % 2, pause)


FAULTS = {
    "kill": Fault("kill -9 at each step", _kill, 2.0, strikes_writer=True),
    **{
        f"kill_at_{step.replace(' ', '_')}": Fault(
            "kill -9 at each step", _kill_at(step), 0.4, strikes_writer=True, early="genesis" in step
        )
        for step in STEPS
    },
    "stop": Fault("a rolling restart", _stop, 1.0, strikes_writer=True),
    "pause": Fault("a pause within the session", _pause, 1.0, (0.2, 8.0), strikes_writer=True),
    "pause_past_session": Fault("pause and resume", _pause, 3.0, (11.0, 30.0), strikes_writer=True),
    "pause_30_min": Fault("pause 30 min and resume", _pause, 0.06, (1800.0, 1801.0), strikes_writer=True),
    "two_writers": Fault("two writers on one partition", _two_writers, 3.0, (3.0, 20.0), strikes_writer=True),
    "partial_puts": Fault("partial object PUTs", _partial_puts, 2.0, strikes_writer=True),
    "lost_response": Fault("success with a lost response", _answers(Bad.LOST_RESPONSE), 2.0),
    "own_write_refused": Fault("success with a lost response", _answers(Bad.OWN_WRITE_REFUSED)),
    "late_write": Fault("a write that arrives late", _answers(Bad.LATE_WRITE), 2.0),
    "timed_out": Fault("a write that never arrives", _answers(Bad.TIMED_OUT, operation="*")),
    "conflict": Fault("409", _answers(Bad.CONFLICT)),
    "deleted_entry": Fault("412→404", _deleted_entry, 0.4),
    "server_error": Fault("500/503 storms", _storm(Bad.SERVER_ERROR), 0.7, (1.0, 8.0)),
    "unavailable": Fault("500/503 storms", _storm(Bad.UNAVAILABLE), 0.7, (1.0, 8.0)),
    "slow_down": Fault("slow-down", _storm(Bad.SLOW_DOWN), 0.7, (1.0, 8.0)),
    "unauthenticated": Fault("401/403", _storm(Bad.UNAUTHENTICATED), 0.7, (1.0, 6.0)),
    "denied": Fault("401/403", _denied, 1.0, (1.0, 25.0), strikes_writer=True),
    "clock_skew": Fault("clock skew and jumps", _clock_skew, 0.7, strikes_writer=True),
    "clock_jump": Fault("clock skew and jumps", _clock_jump, 0.7),
    "compacted": Fault("compaction and aborted-transaction gaps", None, 0.0),
    "aborted": Fault("compaction and aborted-transaction gaps", None, 0.0),
    "topic_recreated": Fault("topic re-creation under the same name", _topic_recreated, 0.7),
    "truncated": Fault("log truncated under the head, then grown past it", _truncated, 1.0),
    "retention_at_opening": Fault(
        "retention moving the log's start while the first chain is being opened",
        _retention_at_opening,
        0.5,
        early=True,
    ),
    "retention": Fault("retention", _retention, 0.7),
    "retention_overtakes": Fault("retention overtaking the head", _retention_overtakes, 1.0),
    "offsets_forward": Fault("Kafka's group offset reset forward", _offsets_forward, 1.5),
    "offsets_lost": Fault("Kafka's group offset lost", _offsets_lost, 0.5),
    "partition_growth": Fault("partition growth", _partition_growth, 0.4),
    "broker_restart": Fault("broker restart", _broker_restart, 0.7, (1.0, 15.0)),
    "cut_s3": Fault("network cut between any two parties", _cut("s3"), 1.0, (0.5, 20.0), strikes_writer=True),
    "cut_kafka": Fault(
        "network cut between any two parties", _cut("kafka"), 1.5, (0.5, 25.0), strikes_writer=True
    ),
    "cut_keystore": Fault(
        "network cut between any two parties", _cut("keystore"), 0.3, (0.5, 20.0), strikes_writer=True
    ),
    "poison": Fault("poison, oversized, empty records", None, 0.0),
    "oversized": Fault("poison, oversized, empty records", None, 0.0),
    "empty": Fault("poison, oversized, empty records", None, 0.0),
    "all_rejected": Fault("a range in which everything was rejected", None, 0.0),
    "intake_error": Fault("an exception in a rule", None, 0.0),
    "policy_down": Fault("policy or key store down", _policy_down, 0.7, (0.5, 12.0), strikes_writer=True),
    "keystore_down": Fault("policy or key store down", _keystore_down, 0.7, (0.5, 15.0)),
    "acknowledged": Fault("a loss put on record", None, 0.0),
    "sweep": Fault("a sweep of orphans", _sweep, 4.0, (1.0, 25.0)),
    # drawn apart from the others: plan.py
    "consume": Fault("consumers of one unit", _consume, 0.0, (3.0, 20.0)),
    "consumer_taken": Fault("consumers of one unit", None, 0.0),
    "consumer_killed": Fault("kill -9 of a consumer at each step", None, 0.0),
    "whale_and_many": Fault("many workspaces and one whale", None, 0.0),
}
