"""`strongroom topics`: creates the topics, and checks that they are what a worker needs."""

import click

from workers import opening
from workers.cli import output, running
from workers.settings import Settings
from workers.stream.admin import check_topics, create_topics

FINDING = 1


@click.group()
def topics() -> None:
    """Create and check the Kafka topics."""


@topics.command()
def create() -> None:
    """Create the topics that are missing; those that exist stay as they are."""
    settings = Settings.load()
    specs = opening.topic_specs(settings)
    created = running.run(create_topics(opening.kafka(settings), specs))
    for name in created:
        click.echo(name)
    output.say(f"{len(created)} created, {len(specs) - len(created)} were there")


@topics.command()
@output.json_option
def check(as_json: bool) -> int:
    """Say in which properties the topics differ from what they must be. Exit code 1 if one does."""
    settings = Settings.load()
    specs = opening.topic_specs(settings)
    mismatches = running.run(check_topics(opening.kafka(settings), specs))
    if as_json or mismatches:
        output.table(["topic", "property", "wanted", "found"], mismatches, as_json=as_json)
    if mismatches:
        output.say(
            "`strongroom topics create` creates what is missing; change the others with Kafka's own tools"
        )
        return FINDING
    output.say(f"{len(specs)} topics are as declared")
    return 0
