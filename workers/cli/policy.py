"""`strongroom policy publish`, and what all commands that change policy share: who asks, and the books."""

import getpass
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from workers import opening
from workers.by import By
from workers.cli import output, running
from workers.ledger.policy_commands import Books, open_books
from workers.settings import Settings

FINDINGS = 1  # exit code


@click.group()
def policy() -> None:
    """Spread policy from the bucket to Kafka."""


@policy.command()
@output.json_option
def publish(as_json: bool) -> int:
    """Publish all write keys and workspaces again, from the chains in the bucket.

    For a new Kafka, or topics that were lost. Safe to repeat, also while workers run. The whole history is
    read and checked on the way.
    """
    published, findings = running.run(_publish(Settings.load()))
    output.record({**published, "findings": findings}, as_json=as_json)
    return FINDINGS if findings else 0


async def _publish(settings: Settings) -> tuple[dict[str, int], list[str]]:
    published: dict[str, int] = {}
    findings: list[str] = []
    async with open_policy(settings) as books:
        for book in books:
            published[book.chain.kind.topic], refused = await book.publish_all()
            findings += refused
    return published, findings


@asynccontextmanager
async def open_policy(settings: Settings) -> AsyncIterator[Books]:
    """The policy chains in the ledger's bucket, and Kafka to spread them."""
    async with opening.open_ledger(settings) as store, opening.open_publisher(settings) as publisher:
        yield open_books(store, publisher, prefix=settings.topic_prefix, retry=running.patient())


def asked_by(settings: Settings, why: str) -> By:
    """The person who runs this command, now."""
    host = socket.gethostname()
    return By(settings.actor or f"{_user()}@{host}", host, why, now=time.time_ns() // 1_000_000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid-{os.getuid()}"
