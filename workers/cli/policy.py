"""`strongroom policy`: spreads it, and shows who has it. And what all commands that change it share."""

import getpass
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from topics.policy_applied import PolicyApplied
from workers import opening
from workers.by import By
from workers.cli import output, roll_call, running
from workers.ledger.policy_commands import Books, open_books
from workers.ledger.policy_logs import PolicyLogs
from workers.observe.roll_call import Answers
from workers.settings import Settings

FINDINGS = 1  # exit code
WORKERS = ("worker", "state", *roll_call.TOPICS, "behind", "age", "heard")
MEANING = {
    "lags": "lags: it has not applied what the topics hold",
    "holds": "holds: its copy is too old to decide on",
    "silent": "is silent: it was killed, suspended, or can't reach Kafka; it counts as gone",
}


@click.group()
def policy() -> None:
    """Spread policy from the bucket to Kafka, and show which workers have applied it."""


@policy.command()
@output.json_option
def publish(as_json: bool) -> int:
    """Publish all write keys, workspaces and verdicts again, from the chains in the bucket.

    For a new Kafka, or topics that were lost. Safe to repeat, also while workers run. The whole history is
    read and checked on the way.
    """
    published, findings = running.run(_publish(Settings.load()))
    output.record({**published, "findings": findings}, as_json=as_json)
    return FINDINGS if findings else 0


@policy.command()
@output.json_option
def status(as_json: bool) -> int:
    """Show what policy each worker has applied. Exit 1 if one lags, holds or is not heard, or there is none.

    `behind` is in records of all of these topics; `heard` is the time since its last report, `age` that
    of its copy at that time, both in seconds.
    """
    heard, roll = running.run(roll_call.everybody(Settings.load()))
    now = time.time_ns() // 1_000_000
    states = {
        worker: _state(report, heard)
        for worker, report in sorted(roll.reports.items())
        if worker in {*heard.confirmed, *heard.lagging, *heard.silent}
    }
    rows = []
    for worker, state in states.items():
        report = roll.reports[worker]
        versions = {part.topic: sum(part.version) + len(part.version) for part in report.applied}
        rows.append(
            (
                worker,
                state,
                *(versions.get(topic) for topic in roll_call.TOPICS),
                roll.behind(report),
                round(report.age_ms / 1000, 1),
                round(max(0, now - report.at) / 1000, 1),
            )
        )
    output.table(WORKERS, rows, as_json=as_json, title="What each worker has applied")
    amiss = {worker: state for worker, state in states.items() if state != "current"}
    for worker, state in amiss.items():
        output.say(f"{output.visible(worker)} {MEANING[state]}")
    if not heard.confirmed and not heard.lagging:
        output.say("no worker was heard: nobody applies policy")
    return FINDINGS if amiss or not states else 0


def _state(report: PolicyApplied, heard: Answers) -> str:
    if report.worker in heard.silent:
        return "silent"
    if report.worker in heard.lagging:
        return "lags"
    return "holds" if report.age_ms > report.stale_after_ms else "current"


async def _publish(settings: Settings) -> tuple[dict[str, int], list[str]]:
    published: dict[str, int] = {}
    findings: list[str] = []
    ids = await opening.policy_topic_ids(settings)
    async with open_policy(settings) as books, opening.open_ledger(settings) as store:
        logs = PolicyLogs(store, running.patient())
        # keys last: until its key is known a record waits, so nothing is decided by half of the policy
        for book in reversed(books):
            published[book.chain.kind.topic], refused = await book.publish_all()
            findings += refused
            await logs.keep(book.chain.kind.topic, ids[book.chain.kind.topic])
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
