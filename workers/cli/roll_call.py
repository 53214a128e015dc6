"""Asks the workers what policy they have applied, for `policy status` and for `--wait`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import click

from topics import origin_verdicts, policy_applied, workspaces, write_keys
from workers import opening
from workers.cli import output
from workers.ledger.policy_book import Place
from workers.observe.roll_call import GONE_AFTER_MS, HEARTBEAT, Answers, Mark, RollCall
from workers.settings import Settings

TOPICS = (write_keys.NAME, workspaces.NAME, origin_verdicts.NAME)
WAIT = 30.0  # seconds
LOOK = 0.05  # seconds between two looks at what was heard
HEARTBEATS = 2 * HEARTBEAT  # seconds in which each worker that lives is heard, whatever its clock says
NOBODY, TIME_RAN_OUT = 1, 3  # exit codes

wait_option = click.option(
    "--wait",
    is_flag=False,
    flag_value=WAIT,
    type=click.FloatRange(min=0),
    metavar="[SECONDS]",
    help=f"Return when every live worker has applied it; after SECONDS ({WAIT:.0f}) name those that lag, "
    f"with exit code {TIME_RAN_OUT}.",
)


async def applied_by_all(
    settings: Settings, placed: Mapping[str, Place | None], seconds: float, topic: str = write_keys.NAME
) -> Answers:
    """Waits until every live worker has applied values that were published at these places of a topic.

    One that somebody else has published stands somewhere before the topic's end.
    """
    log = _log(settings)
    try:
        extent = await log.extent(settings.topic_prefix + topic)
    finally:
        await log.close()
    offsets: dict[int, int] = {}
    for place in placed.values():
        if place is None:
            offsets = {partition: end - 1 for partition, (_, end) in extent.bounds.items()}
            break
        offsets[place.partition] = max(place.offset, offsets.get(place.partition, -1))
    async with open_roll_call(settings) as roll:
        roll.begin((Mark(topic, extent.topic_id, offsets),))
        return await answers(roll, seconds, enough=lambda heard: bool(heard.confirmed) and not heard.lagging)


async def everybody(settings: Settings) -> tuple[Answers, RollCall]:
    """What workers have applied of what the topics hold now. One that looks late gets two heartbeats."""
    log = _log(settings)
    try:
        marks = [
            Mark(topic, extent.topic_id, {number: end - 1 for number, (_, end) in extent.bounds.items()})
            for topic in TOPICS
            for extent in [await log.extent(settings.topic_prefix + topic)]
        ]
    finally:
        await log.close()
    async with open_roll_call(settings) as roll:
        roll.begin(tuple(marks))
        heard = await answers(
            roll,
            HEARTBEATS,
            enough=lambda heard: bool(heard.confirmed) and not heard.lagging and not heard.silent,
        )
        return heard, roll


async def answers(roll: RollCall, seconds: float, *, enough: Callable[[Answers], bool]) -> Answers:
    """As soon as they are enough, or as they are when the time has run out."""
    deadline = time.monotonic() + seconds
    # who is silent is a matter of time, which no event tells
    while not enough(heard := roll.look()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(LOOK)
    return heard


@asynccontextmanager
async def open_roll_call(settings: Settings) -> AsyncIterator[RollCall]:
    """All reports that there are, and those that come while the block lasts."""
    from workers.stream.compacted import CompactedReader  # noqa: PLC0415 - other commands start fast

    roll = RollCall(lambda: time.time_ns() // 1_000_000)
    reader = CompactedReader(opening.kafka(settings), settings.topic_prefix + policy_applied.NAME, roll.hear)
    try:
        await reader.start()
        yield roll
    finally:
        await reader.stop()


def told(heard: Answers) -> int:
    """Says on stderr who has applied it and who has not; returns the exit code."""
    for worker, records in heard.lagging.items():
        output.say(f"{output.visible(worker)} lags: {records} records behind")
    for worker, silence in heard.silent.items():
        output.say(
            f"{output.visible(worker)} was not heard for {silence / 1000:.0f} s: it counts as gone. A worker "
            "that can't reach Kafka decides nothing by old policy"
        )
    asked = len(heard.confirmed) + len(heard.lagging)
    if not asked:
        output.say(f"no worker was heard within {GONE_AFTER_MS / 1000:.0f} s: nobody has confirmed it")
        return NOBODY
    output.say(f"{len(heard.confirmed)} of {asked} live workers have applied it")
    return TIME_RAN_OUT if heard.lagging else 0


def as_json(heard: Answers) -> dict[str, Any]:
    """Silences in ms."""
    return {
        "confirmed": list(heard.confirmed),
        "lagging": dict(heard.lagging),
        "silent": dict(heard.silent),
    }


def places(placed: Mapping[str, Place], keys: Iterable[str]) -> dict[str, Place | None]:
    return {key: placed.get(key) for key in keys}


def _log(settings: Settings) -> Any:  # Any: its module is imported late
    from workers.stream.log import Log  # noqa: PLC0415 - other commands start fast

    return Log(opening.kafka(settings))
