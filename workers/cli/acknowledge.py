"""`strongroom ledger acknowledge`: puts a loss on record, after a person has seen which."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import click

from topics import audit
from topics.times import iso_ms
from workers import opening
from workers.by import By
from workers.cli import output, running
from workers.cli.policy import asked_by
from workers.errors import Poison
from workers.ledger.acknowledge import Recorded
from workers.ledger.entries import Closing, Opens
from workers.ledger.halts import ACKNOWLEDGED
from workers.ledger.losses import Loss
from workers.roles.losses import Losses
from workers.settings import Settings

NOT_DONE = 1  # exit code
NOBODY_KNOWS = "nobody can know"


@click.command()
@click.option("--topic", required=True, help="The topic, with its prefix.")
@click.option("--partition", required=True, type=click.IntRange(min=0), help="The halted partition.")
@click.option("--reason", required=True, help="Why it is lost, and who was asked; kept for ever.")
@click.option("--cause", type=click.Choice(ACKNOWLEDGED), help="Refuse a halt of any other cause.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@output.json_option
def acknowledge(topic: str, partition: int, reason: str, cause: str | None, yes: bool, as_json: bool) -> int:
    """Put on record what a halted partition has lost, and let it go on.

    Shows what will be written, and asks. The chain is closed for ever by an entry that says what is lost and
    who decided it, and the next one is opened; nothing is deleted. Safe to repeat: what an earlier try has
    begun is completed. With --json, or without a terminal, nothing is written but with --yes. Exit code 1 if
    nothing was.
    """
    if not reason.strip():
        raise Poison("a loss can't be put on record without a reason", remedy="Give --reason")
    settings = Settings.load()
    loss = running.run(_look(settings, topic, partition))
    if loss is not None:
        _expect(loss, cause)
        if not yes and not _agreed(loss, as_json):
            output.say("Nothing was put on record.")
            return NOT_DONE
    recorded = running.run(_record(settings, topic, partition, loss, asked_by(settings, reason)))
    output.record(_on_record(recorded), as_json=as_json)
    if loss is None:
        output.say("The partition is not halted for a loss: this was on record already.")
    elif not recorded.ours:
        output.say(f"{output.visible(recorded.closing.actor)} was faster: this is on record.")
    return 0


def _expect(loss: Loss, cause: str | None) -> None:
    if cause not in (None, loss.cause):
        where = f"{loss.chain.topic}[{loss.chain.partition}]"
        raise Poison(
            f"{where} is halted by {loss.cause}, not by {cause}: {loss.words}",
            remedy=f"Nothing was put on record. What to do: deploy/runbooks/{loss.cause}.md",
        )


def _agreed(loss: Loss, as_json: bool) -> bool:
    output.record(_shown(loss), as_json=as_json)
    asked = not as_json and sys.stdin.isatty()
    return asked and click.confirm("Put this on record, for ever?", err=True)


def _shown(loss: Loss) -> dict[str, object]:
    return {
        "topic": loss.chain.topic,
        "partition": loss.chain.partition,
        "cause": loss.cause,
        "what happened": loss.words,
        "chain that is closed": loss.chain.prefix,
        "archived up to": loss.head,
        "log": f"{loss.log[0]} to {loss.log[1]}",
        **_consequences(loss.lost, loss.repeats, [found.name for found in loss.broken], loss.opens),
    }


def _on_record(recorded: Recorded) -> dict[str, object]:
    closing: Closing = recorded.closing
    return {
        "topic": closing.topic,
        "partition": closing.partition,
        "cause": closing.cause,
        "reason": closing.reason,
        "by": f"{closing.actor} on {closing.host}",
        "at": iso_ms(closing.committed_at),
        "closing": recorded.key,
        **_consequences(
            closing.lost, closing.repeats, [found.name for found in closing.broken], closing.opens
        ),
    }


def _consequences(
    lost: int | None, repeats: int | None, broken: list[str], opens: Opens
) -> dict[str, object]:
    return {
        "offsets lost": NOBODY_KNOWS if lost is None else lost,
        "archived a second time": NOBODY_KNOWS if repeats is None else f"at most {repeats} offsets",
        "entries that count no more": broken,
        "goes on at": f"offset {opens.first} of {opens.topic_id}.{opens.incarnation}",
    }


async def _look(settings: Settings, topic: str, partition: int) -> Loss | None:
    async with _losses(settings, topic, partition) as losses:
        return await losses.look()


async def _record(settings: Settings, topic: str, partition: int, loss: Loss | None, by: By) -> Recorded:
    # Kafka first: where nothing can be told nothing is begun
    async with (
        opening.open_publisher(settings) as publisher,
        _losses(settings, topic, partition) as losses,
    ):
        if loss is None:
            return await losses.repeat(by, publisher)
        return await losses.put_on_record(loss, by, version("strongroom"), publisher)


@asynccontextmanager
async def _losses(settings: Settings, topic: str, partition: int) -> AsyncIterator[Losses]:
    from workers.stream.beside import Beside  # noqa: PLC0415 - not for `ledger show` and its like
    from workers.stream.log import Log  # noqa: PLC0415

    connection = opening.kafka(settings)
    log = Log(connection)
    try:
        async with opening.open_ledger(settings) as ledger:
            yield await Losses.of(
                ledger,
                log,
                Beside(connection, settings.group, topic),
                group=settings.group,
                topic=topic,
                partition=partition,
                audit_topic=settings.topic_prefix + audit.NAME,
                retry=running.patient(),
            )
    finally:
        await log.close()
