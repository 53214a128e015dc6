"""`strongroom retention`: for how long records are kept, what is held, and what has gone."""

from typing import NamedTuple

import click
import msgspec

from topics.times import iso_ms
from topics.workspaces import Workspace, WorkspaceState
from workers.cli import output, retention_certificates, retention_run, retention_units, running
from workers.cli.workspace_changes import changed, standing, taken_back
from workers.cli.workspace_options import FOREVER, Days
from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.intake.kept import BEGINNING, END, term_of
from workers.ledger import workspace_terms
from workers.roles.process import now

OTHERS = "(any other)"
reason_option = click.option("--reason", required=True, help="Why; kept in the history.")


@click.group()
def retention() -> None:
    """Set how long records are kept, and hold what must not go."""


for _command in (*retention_units.COMMANDS, *retention_run.COMMANDS, *retention_certificates.COMMANDS):
    retention.add_command(_command)


@retention.command("set")
@click.argument("workspace")
@click.option("--days", type=Days(), required=True, help="Keep records for so long.")
@click.option("--source", help="Only this source's; `forever` then means as the workspace's.")
@click.option("--reason", default="", help="Why; kept in the history.")
@output.json_option
def set_(workspace: str, days: int | str, source: str | None, reason: str, as_json: bool) -> int:
    """Keep the records of WORKSPACE for so many days, or for ever.

    A shorter time, and a first one, deletes nothing for 24 hours; a longer one is in force at once, and takes
    back what is on its way out, as `retention hold` does.
    """
    wanted = None if days == FOREVER else int(days)

    def edit(before: Workspace) -> Workspace:
        return workspace_terms.with_retention(before, source, wanted)

    running.run(standing(workspace))  # a retention makes no workspace
    value = running.run(changed(workspace, edit, reason))
    too_late = taken_back(value, reason)
    _show(value, as_json)
    return too_late


@retention.command()
@click.argument("workspace")
@output.json_option
def show(workspace: str, as_json: bool) -> None:
    """Show for how long WORKSPACE keeps its records, source by source, and what is past that now."""
    _show(running.run(standing(workspace)), as_json)


@retention.command()
@click.argument("workspace")
@reason_option
@output.json_option
def hold(workspace: str, reason: str, as_json: bool) -> int:
    """Delete nothing of WORKSPACE, whatever its retention says, until it is released.

    What is disabled on its way out can be read again when this returns. What is being destroyed is named, and
    the exit code is 1: it could not be saved.
    """
    value = running.run(changed(_known(workspace), lambda before: _held(before, True), _said(reason)))
    too_late = taken_back(value, reason)
    _show(value, as_json)
    return too_late


@retention.command()
@click.argument("workspace")
@reason_option
@output.json_option
def release(workspace: str, reason: str, as_json: bool) -> None:
    """Lift the hold on WORKSPACE. Nothing is deleted for 24 hours."""
    _show(
        running.run(changed(_known(workspace), lambda before: _held(before, False), _said(reason))), as_json
    )


class Line(NamedTuple):
    """What holds for one source, or for those that the workspace does not list."""

    source: str
    clock: Clock
    days: int | None
    kept_from: str  # the oldest day that is kept
    why: str


def lines(workspace: Workspace, at: int) -> list[Line]:
    """At `at`, in ms since the epoch."""
    return [
        _line(workspace, source, clock, at)
        for source in (*(source.id for source in workspace.sources), OTHERS)
        for clock in (Clock.MAIN, Clock.QUARANTINE)
    ]


def _line(workspace: Workspace, source: str, clock: Clock, at: int) -> Line:
    term = term_of(workspace, source, clock)
    since = term.kept_since(at)
    if term.held:
        why = "a legal hold"
    elif term.effective_from is not None and at < term.effective_from:
        why = f"nothing goes before {iso_ms(term.effective_from)}"
    elif term.closed:
        why = "the workspace is closed"
    else:
        why = "its retention" if clock is Clock.MAIN else "the clock of the quarantine"
    if since == BEGINNING:
        return Line(
            source, clock, term.days, "all", why if term.days is not None or term.held else "no retention"
        )
    return Line(source, clock, term.days, "none" if since == END else iso_ms(since)[:10], why)


def _show(workspace: Workspace, as_json: bool) -> None:
    at = now()
    rows = lines(workspace, at)
    if as_json:
        output.print_json(
            {
                "workspace": workspace.id,
                "state": workspace.state,
                "plan": workspace.plan,
                "legalHold": workspace.legal_hold,
                "effectiveFrom": workspace.effective_from,
                "kept": [row._asdict() for row in rows],
            }
        )
        return
    output.table(Line._fields, rows, title=f"What {workspace.id} keeps")
    if workspace.legal_hold:
        output.say(f"{workspace.id} is held: nothing of it is deleted")
    if workspace.state is WorkspaceState.CLOSED:
        output.say(f"{workspace.id} is closed")


def _held(before: Workspace, held: bool) -> Workspace:
    return msgspec.structs.replace(before, legal_hold=held)


def _known(workspace: str) -> str:
    return running.run(standing(workspace)).id


def _said(reason: str) -> str:
    if not reason.strip():
        raise Poison("a hold is put and lifted for a reason", remedy="Give --reason: it is kept for ever")
    return reason
