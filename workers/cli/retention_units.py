"""`strongroom retention plan` and its like: what is due and what goes, and why."""

from typing import NamedTuple

import click

from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.cli.policy import asked_by
from workers.errors import Poison
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import WORKSPACES
from workers.retention import approvals, close, closing_certificate, explain, index_copy, names
from workers.retention.agent import planned_from
from workers.retention.census import Registrar
from workers.retention.due import PolicyView, Verdict, judge_closing
from workers.retention.index import UnitIndex
from workers.retention.index_copy import IndexCopy
from workers.retention.plan import FLEET, Due, Plan
from workers.roles.process import now
from workers.roles.retain import limits, terms
from workers.settings import Settings
from workers.store.port import Store

PLANNED = (
    "workspace",
    "source",
    "day",
    "clock",
    "objects",
    "records",
    "bytes",
    "reason",
    "due since",
    "goes",
)
OWN_KEY = "(its own key)"  # in place of a source: of a closed workspace of which nothing else is left


class Planned(NamedTuple):
    plan: Plan
    ends: dict[str, Verdict]  # closed workspaces whose own key goes


@click.command()
@click.option("--workspace", help="Only this one's.")
@output.json_option
def plan(workspace: str | None, as_json: bool) -> int:
    """Print exactly what would go now, and why. Touches nothing.

    Exit code 1 where so much is due at once that it waits for `strongroom retention approve`.
    """
    found, ends = running.run(_planned(Settings.load()))
    rows = [_row(each, "now") for each in found.tasks] + [_row(each, "waits") for each in found.waiting]
    units = [row for row in rows if workspace in (None, row[0])]
    keys = [_key_row(*each) for each in ends.items() if workspace in (None, each[0])]
    output.table(PLANNED, [*units, *keys], as_json=as_json, title="What is past its retention")
    objects, stored = sum(int(str(row[4])) for row in units), sum(int(str(row[6])) for row in units)
    output.say(f"{len(units)} units, {objects} objects, {stored} bytes are due")
    if keys:
        output.say(f"{len(keys)} closed workspaces are empty: their own keys go")
    if found.unusable is not None:
        output.say(f"the policy is {found.unusable}: nothing is deleted by it")
    for brake in found.brakes:
        output.say(f"waits for an approval: {brake.words}")
    return int(bool(found.brakes))


@click.command()
@click.argument("scope")
@click.option("--reason", required=True, help="Why; kept on record.")
@output.json_option
def approve(scope: str, reason: str, as_json: bool) -> None:
    """Let what is due of SCOPE, a workspace or `fleet`, go although it is much at once.

    For what is due now, by the policy that stands now, for seven days.
    """
    settings = Settings.load()
    approved = running.run(_approve(settings, FLEET if scope == "fleet" else scope, reason))
    output.record(
        {
            "scope": scope,
            "bytes": approved.stored_bytes,
            "until": iso_ms(approved.until),
            "braked": approved.words,
        },
        as_json=as_json,
    )


@click.command("explain")
@click.argument("key")
@output.json_option
def explain_(key: str, as_json: bool) -> None:
    """Say of one object, by its key, why it is still there, or why and when it went."""
    output.record(running.run(_explain(Settings.load(), key)), as_json=as_json)


@click.command("index")
@click.option("--rebuild", is_flag=True, help="Read all of the ledger, and keep a new copy.")
@output.json_option
def index_(rebuild: bool, as_json: bool) -> int:
    """Show the copy of the index that plans begin with, or make it anew.

    Exit code 1 where there is none that can be read: then the next plan reads all of the ledger.
    """
    copy, size = running.run(_index(Settings.load(), rebuild))
    shown: dict[str, object] = {"key": names.INDEX, "there": copy is not None}
    if copy is not None:
        shown |= {
            "as of": iso_ms(copy.at),
            "bytes": size,
            "chains": len(copy.chains),
            "entries": copy.entries,
            "units": len(copy.units),
            "objects": sum(each.objects for each in copy.units),
            "unit chains": len(copy.unit_chains),
        }
    output.record(shown, as_json=as_json)
    return int(copy is None)


COMMANDS = (plan, approve, explain_, index_)


def _row(due: Due, goes: str) -> tuple[object, ...]:
    held, verdict = due.held, due.verdict
    since = "" if verdict.at is None else iso_ms(verdict.at)
    return (*held.unit, held.objects, held.records, held.stored_bytes, verdict.reason, since, goes)


def _key_row(workspace: str, verdict: Verdict) -> tuple[object, ...]:
    since = "" if verdict.at is None else iso_ms(verdict.at)
    return (workspace, OWN_KEY, "", "", 0, 0, 0, verdict.reason, since, "now")


async def view_by_chain(ledger: Store) -> PolicyView:
    """What the chain in S3 says now: a command needs no topic."""
    return PolicyView(await PolicyChain(ledger, WORKSPACES, retry=running.patient()).everything())


async def _planned(settings: Settings) -> Planned:
    async with opening.open_ledger(settings) as ledger:
        return await _plan_of(settings, ledger)


async def _plan_of(settings: Settings, ledger: Store) -> Planned:
    retry, at = running.patient(), now()
    registrar = Registrar(ledger, UnitIndex(ledger, retry, now), retry)
    view = await view_by_chain(ledger)
    planned = await planned_from(ledger, registrar, view, at, limits(settings), retry)
    ends = {
        workspace: judge_closing(workspace, view, at)
        for workspace in sorted(close.emptied(view, planned.census, at))
        if await closing_certificate.read(ledger, workspace, retry) is None
    }
    return Planned(planned.plan, ends)


async def _index(settings: Settings, rebuild: bool) -> tuple[IndexCopy | None, int]:
    retry = running.patient()
    async with opening.open_ledger(settings) as ledger:
        if rebuild:
            registrar = Registrar(ledger, UnitIndex(ledger, retry, now), retry, anew=True)
            await registrar.census(await view_by_chain(ledger), now())
            await registrar.keep()
        copy = await index_copy.load(ledger, retry)
        return copy, (await retry.call(lambda: ledger.stat(names.INDEX))).size if copy else 0


async def _approve(settings: Settings, scope: str, reason: str) -> approvals.Approved:
    if not reason.strip():
        raise Poison("an approval is given for a reason", remedy="Give --reason: it is kept on record")
    async with opening.open_ledger(settings) as ledger:
        found, _ = await _plan_of(settings, ledger)
        brake = next((each for each in found.brakes if each.scope == scope), None)
        if brake is None:
            braked = ", ".join(each.scope for each in found.brakes) or "nothing"
            raise Poison(
                f"nothing of {scope} waits for an approval; what waits is {braked}",
                remedy="`strongroom retention plan` shows what is due",
            )
        approved = approvals.of(brake, asked_by(settings, reason))
        await approvals.keep(ledger, approved, running.patient())
        return approved


async def _explain(settings: Settings, key: str) -> dict[str, object]:
    async with opening.open_ledger(settings) as ledger, opening.open_data(settings) as data:
        view = await view_by_chain(ledger)
        return await explain.explained(ledger, data, key, view, terms(settings), running.patient(), now())
