"""`strongroom send`: puts events from files on raw-events, as a collector would."""

import time
from collections.abc import Callable

import click

from topics import raw_events
from workers import opening
from workers.cli import output, running
from workers.errors import Poison
from workers.event_files import (
    EventFile,
    Kind,
    Record,
    Tally,
    Unsendable,
    Wrapping,
    as_record,
    open_events,
)
from workers.settings import Settings
from workers.stream.publish import Publisher

PACE = 500  # records between two moves of the bar


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--write-key", help="Write key of bare Segment calls that name none.")
@click.option("--origin", help="Origin header of bare calls, such as https://shop.example.")
@click.option("--referer", help="Referer header of bare calls.")
@click.option("--user-agent", help="User-Agent header of bare calls.")
@click.option("--ip", help="Address that bare calls came from.")
@output.json_option
def send(
    files: tuple[str, ...],
    write_key: str | None,
    origin: str | None,
    referer: str | None,
    user_agent: str | None,
    ip: str | None,
    as_json: bool,
) -> None:
    """Send FILES to raw-events: NDJSON, plain or gzip; - is stdin.

    Envelopes go as they are. Bare Segment calls are wrapped, with --write-key. Other lines go as they
    are too, and become dead letters. A record's partition follows from its write key.
    """
    settings = Settings.load()
    begun = time.monotonic()
    tally = running.run(_send_all(settings, files, Wrapping(write_key, origin, referer, ip, user_agent)))
    took = time.monotonic() - begun
    output.record(
        {
            "records": tally.records,
            **{kind.value: tally.lines[kind] for kind in Kind},
            "bytes": tally.bytes,
            "seconds": round(took, 2),
            "records a second": round(tally.records / took),
        },
        as_json=as_json,
    )


async def _send_all(settings: Settings, files: tuple[str, ...], wrapping: Wrapping) -> Tally:
    tally = Tally()
    async with opening.open_publisher(settings) as publisher:
        for name in files:
            with open_events(name) as file, output.progress(f"sending {file.name}", file.size) as advance:
                await send_file(publisher, settings.topic_prefix, file, wrapping, tally, advance)
        await publisher.flush()
    return tally


async def send_file(
    publisher: Publisher,
    prefix: str,
    file: EventFile,
    wrapping: Wrapping,
    tally: Tally,
    advance: Callable[[int], None],
) -> None:
    """Sends every line. `advance` is told how many bytes of the file are behind."""
    seen = 0
    for number, line in enumerate(file.lines(tally)):
        record = as_record(line, wrapping)
        if number == 0 and record.kind is Kind.KEYLESS:
            raise Unsendable(
                f"{file.name} begins with a bare Segment call, and no write key to send it with",
                remedy="Give --write-key (and --origin for a browser's)",
            )
        await send_record(publisher, prefix, record, tally)
        if number % PACE == 0:
            advance(file.place - seen)
            seen = file.place


async def send_record(publisher: Publisher, prefix: str, record: Record, tally: Tally) -> None:
    """Returns when the record is in a batch: memory stays bounded however fast lines come."""
    try:
        await publisher.send(prefix + raw_events.NAME, record.key, record.value)
    except Poison:  # larger than the topic takes
        tally.lines[Kind.TOO_LARGE] += 1
    else:
        tally.lines[record.kind] += 1
        tally.bytes += len(record.value)
