"""`strongroom retention run`: what a retain worker does with one plan, by hand."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import NamedTuple

import click

from topics import audit
from workers import opening
from workers.cli import output, running
from workers.cli.policy import asked_by
from workers.cli.retention_units import plan, view_by_chain
from workers.ledger.entries import Writer
from workers.retention import close
from workers.retention.agent import Agent
from workers.retention.census import Registrar
from workers.retention.close import Closer
from workers.retention.dispose import Disposer
from workers.retention.due import PolicyView
from workers.retention.index import UnitIndex
from workers.retention.truth import Truth
from workers.roles.process import now
from workers.roles.retain import Auditor, limits, terms
from workers.settings import Settings

NO_STEP = (close.Outcome.KEPT, close.Outcome.OVER)


class Done(NamedTuple):
    """`unit`: or a workspace that ends."""

    unit: str
    outcome: str
    words: str


@click.command()
@click.option("--yes", is_flag=True, help="Take the steps; without it, this is `retention plan`.")
@output.json_option
def run(yes: bool, as_json: bool) -> int:
    """Take each unit that is due, and each closed workspace, a step further, as a retain worker does.

    Says what would go without --yes. A key that is disabled now is destroyed by a later run, or by a worker,
    after STRONGROOM_DESTROY_AFTER; a closed workspace ends in a run that finds nothing of it live.
    Exit code 1 if a bucket keeps what must go, or a step failed.
    """
    if not yes:
        return int(click.get_current_context().invoke(plan, workspace=None, as_json=as_json) or 0)
    done = running.run(_run(Settings.load()))
    output.table(Done._fields, done, as_json=as_json, title="Steps taken")
    return int(any(each.outcome in ("stuck", "failed") for each in done))


COMMANDS = (run,)


class _Workers(NamedTuple):
    agent: Agent
    closer: Closer
    view: PolicyView


async def _run(settings: Settings) -> list[Done]:
    done: list[Done] = []
    async with _workers(settings) as (agent, closer, view):
        begun = now()
        planned = await agent.plan()
        for unit in sorted(planned.may_go):
            advanced = await agent.advance(unit)
            name = "/".join(unit)
            if advanced is None:
                done.append(Done(name, "failed", agent.failures.get(unit, "")))
            else:
                done.append(Done(name, advanced.outcome, advanced.words))
        for each in await closer.advance_all(view, planned.census, begun):
            if each.outcome is None:
                done.append(Done(each.workspace, "failed", each.words))
            elif each.outcome not in NO_STEP:
                done.append(Done(each.workspace, each.outcome, each.words))
    return done


@asynccontextmanager
async def _workers(settings: Settings) -> AsyncIterator[_Workers]:
    retry = running.patient()
    async with (
        opening.open_ledger(settings) as ledger,
        opening.open_all_data(settings) as buckets,
        opening.open_key_rows(settings) as rows,
        opening.open_publisher(settings) as publisher,
    ):
        view = await view_by_chain(ledger)
        index = UnitIndex(ledger, retry, now)
        truth = Truth(ledger, lambda: view, now, retry)
        auditor = Auditor(publisher, settings.topic_prefix + audit.NAME)
        writer, host = Writer(asked_by(settings, "").who, version("strongroom")), socket.gethostname()
        disposer = Disposer(
            ledger, buckets, rows, index, truth.verdict, terms(settings), writer, host, retry, now,
            index.reaches, auditor.tell,
        )  # fmt: skip
        closer = Closer(
            ledger, rows, truth.closing, terms(settings).shred_latency, writer, host, retry, now,
            auditor.tell_closed,
        )  # fmt: skip
        registrar = Registrar(ledger, index, retry)
        agent = Agent(ledger, registrar, disposer, lambda: view, limits(settings), retry, now, lambda: None)
        yield _Workers(agent, closer, view)
