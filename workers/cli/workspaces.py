"""`strongroom workspaces`: sets up customers' workspaces, and shows them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from topics.times import iso_ms
from topics.workspaces import (
    MAX_BURST,
    OriginPolicy,
    OverQuota,
    SourceType,
    Workspace,
    WorkspaceState,
)
from workers.cli import output, running, workspace_changes
from workers.cli.workspace_changes import changed, read, standing, taken_back
from workers.cli.workspace_options import FOREVER, UNLIMITED, Days, PerSecond, SourceText
from workers.cli.workspace_shown import as_document, retention_words, show_one
from workers.errors import Poison
from workers.ledger import workspace_terms


@click.group()
def workspaces() -> None:
    """Set and show customers' workspaces."""


@workspaces.command("set")
@click.argument("workspace")
@click.option("--plan", help="What the customer bought, by name.")
@click.option("--source", "sources", type=SourceText(), multiple=True, help="Add a source, or change it.")
@click.option(
    "--allow-origin", "origins", multiple=True, metavar="PATTERN", help="Add a host of the customer's own."
)
@click.option(
    "--origins",
    "origin_policy",
    type=click.Choice([choice.value for choice in OriginPolicy]),
    help="What becomes of records from a host that the judge calls a copy; flag is the default.",
)
@click.option(
    "--retention-days", "days", type=Days(), help="Keep records for so long; forever is the default."
)
@click.option(
    "--legal-hold/--no-legal-hold", default=None, help="Delete nothing, whatever the retention says."
)
@click.option("--quota-records", type=PerSecond(), help="Records a second that each write key may send.")
@click.option("--quota-bytes", type=PerSecond(), help="Bytes a second that each write key may send.")
@click.option(
    "--quota-burst", type=click.IntRange(1, MAX_BURST), help="Seconds' worth of it that may come at once."
)
@click.option(
    "--over-quota",
    "over",
    type=click.Choice([choice.value for choice in OverQuota]),
    help="What becomes of records over it; off, the default, asks nothing.",
)
@click.option("--state", type=click.Choice([state.value for state in WorkspaceState]))
@click.option(
    "--file",
    "path",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A JSON object of fields to replace whole, as `workspaces show --json` prints them.",
)
@click.option("--reason", default="", help="Why; kept in the history.")
@output.json_option
def set_workspace(  # click calls it, by name
    workspace: str,
    plan: str | None,
    sources: Sequence[tuple[str, SourceType, tuple[str, ...] | None]],
    origins: Sequence[str],
    origin_policy: str | None,
    days: int | str | None,
    legal_hold: bool | None,
    quota_records: int | str | None,
    quota_bytes: int | str | None,
    quota_burst: int | None,
    over: str | None,
    state: str | None,
    path: Path | None,
    reason: str,
    as_json: bool,
) -> int:
    """Make WORKSPACE, or change what is named here and leave the rest.

    A shorter retention, a lifted hold and a closed workspace delete nothing for 24 hours. A hold and a longer
    retention take back what is on its way out; exit code 1 where some of it can't be.
    """
    document = _document(path) if path else {}
    options: dict[str, Any] = {}
    if plan is not None:
        options["plan"] = plan
    if origin_policy is not None:
        options["origins"] = OriginPolicy(origin_policy)
    if days is not None:
        options["retention_days"] = None if days == FOREVER else days
    if legal_hold is not None:
        options["legal_hold"] = legal_hold
    if state is not None:
        options["state"] = WorkspaceState(state)

    options |= _quota(quota_records, quota_bytes, quota_burst, over)

    def edit(before: Workspace) -> Workspace:
        after = workspace_terms.with_document(before, document)
        for source in sources:
            after = workspace_terms.with_source(after, *source)
        added = tuple(origin for origin in dict.fromkeys(origins) if origin not in after.allowed_origins)
        return msgspec.structs.replace(after, allowed_origins=(*after.allowed_origins, *added), **options)

    value = running.run(changed(workspace, edit, reason))
    bears_on_terms = path is not None or not {"retention_days", "legal_hold", "state"}.isdisjoint(options)
    too_late = taken_back(value, reason) if bears_on_terms else 0
    show_one(value, as_json)
    lists = value.allowed_origins or any(source.allowed_origins for source in value.sources)
    if value.origins is OriginPolicy.QUARANTINE and not lists:
        output.say(
            "It lists no hosts of its own, so none is judged and nothing is quarantined: --allow-origin"
        )
    return too_late


@workspaces.command()
@click.argument("workspace")
@click.option("--reason", required=True, help="Why; kept in the history.")
@output.json_option
def close(workspace: str, reason: str, as_json: bool) -> None:
    """Close WORKSPACE: revoke its keys, refuse its records at once, dispose of all of it after 24 hours.

    A legal hold keeps what there is. May be repeated; opened again within the 24 hours, it has lost its write
    keys alone.
    """
    show_one(running.run(workspace_changes.closed(workspace, reason)), as_json)


@workspaces.command()
@click.argument("workspace")
@output.json_option
def show(workspace: str, as_json: bool) -> None:
    """Show what stands of WORKSPACE."""
    show_one(running.run(standing(workspace)), as_json)


@workspaces.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkspaceState]), help="Only those.")
@output.json_option
def list_workspaces(state: str | None, as_json: bool) -> None:
    """List workspaces."""
    standing = running.run(read(lambda chain: chain.everything()))
    values = [standing[name] for name in sorted(standing) if state in (None, standing[name].state)]
    if as_json:
        output.print_json([as_document(value) for value in values])
        return
    output.table(
        ["workspace", "state", "plan", "sources", "retention", "legal hold", "changed"],
        [
            (
                value.id,
                value.state,
                value.plan,
                ", ".join(source.id for source in value.sources),
                retention_words(value.retention_days),
                value.legal_hold,
                iso_ms(value.changed_at),
            )
            for value in values
        ],
        title="Workspaces",
    )


def _quota(
    records: int | str | None, bytes_: int | str | None, burst: int | None, over: str | None
) -> dict[str, Any]:
    """The fields that were asked for."""
    changes: dict[str, Any] = {
        field: None if asked == UNLIMITED else asked
        for field, asked in (("quota_records", records), ("quota_bytes", bytes_))
        if asked is not None
    }
    if burst is not None:
        changes["quota_burst"] = burst
    if over is not None:
        changes["over_quota"] = OverQuota(over)
    return changes


def _document(path: Path) -> Mapping[str, Any]:
    text = click.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Poison(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Poison(f"{path} is no JSON object", remedy='As {"retentionDays": 30}')
    return document
