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
    MAX_QUOTA,
    OriginPolicy,
    OverQuota,
    Source,
    SourceType,
    Workspace,
    WorkspaceState,
    codec,
)
from workers.cli import output, running, workspace_changes
from workers.cli.workspace_changes import changed, read, standing, taken_back
from workers.errors import Poison
from workers.ledger import workspace_terms

FOREVER = "forever"
UNLIMITED = "unlimited"


class Days(click.ParamType):
    """A number of days, or `forever`."""

    name = "N|forever"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == FOREVER or isinstance(value, int):
            return value  # type: ignore[no-any-return]  # click's Any, narrowed by the line above
        try:
            return workspace_terms.checked_days(float(value))
        except ValueError:
            self.fail(f"{value!r} is neither a number of days nor {FOREVER!r}", param, ctx)
        except Poison as error:
            self.fail(f"{error.message}. {error.remedy}", param, ctx)


class PerSecond(click.ParamType):
    """A number a second, or `unlimited`."""

    name = "N|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == UNLIMITED or isinstance(value, int):
            return value  # type: ignore[no-any-return]  # click's Any, narrowed by the line above
        if not str(value).isascii() or not str(value).isdigit() or not 1 <= int(value) <= MAX_QUOTA:
            self.fail(f"{value!r} is neither 1 to {MAX_QUOTA} nor {UNLIMITED!r}", param, ctx)
        return int(value)


class SourceText(click.ParamType):
    """`ID:TYPE`, or `ID:TYPE:pattern,pattern` to set the hosts that are this source's own."""

    name = "ID:TYPE[:pattern,...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, SourceType, tuple[str, ...] | None]:
        if isinstance(value, tuple):
            return value
        source, _, rest = str(value).partition(":")
        kind, colon, patterns = rest.partition(":")
        if kind not in list(SourceType):
            types = ", ".join(SourceType)
            self.fail(f"{value!r} names no type: write ID:TYPE, where TYPE is one of {types}", param, ctx)
        hosts = tuple(pattern for pattern in patterns.split(",") if pattern) if colon else None
        return source, SourceType(kind), hosts


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
    _show_one(value, as_json)
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
    _show_one(running.run(workspace_changes.closed(workspace, reason)), as_json)


@workspaces.command()
@click.argument("workspace")
@output.json_option
def show(workspace: str, as_json: bool) -> None:
    """Show what stands of WORKSPACE."""
    _show_one(running.run(standing(workspace)), as_json)


@workspaces.command("list")
@click.option("--state", type=click.Choice([state.value for state in WorkspaceState]), help="Only those.")
@output.json_option
def list_workspaces(state: str | None, as_json: bool) -> None:
    """List workspaces."""
    standing = running.run(read(lambda chain: chain.everything()))
    values = [standing[name] for name in sorted(standing) if state in (None, standing[name].state)]
    if as_json:
        output.print_json([_json(value) for value in values])
        return
    output.table(
        ["workspace", "state", "plan", "sources", "retention", "legal hold", "changed"],
        [
            (
                value.id,
                value.state,
                value.plan,
                ", ".join(source.id for source in value.sources),
                _retention(value.retention_days),
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


def _show_one(value: Workspace, as_json: bool) -> None:
    if as_json:
        output.record(_json(value), as_json=True)
        return
    output.record(
        {
            "workspace": value.id,
            "state": value.state,
            "plan": value.plan,
            "sources": [_source(source) for source in value.sources],
            "allowed origins": value.allowed_origins,
            "copies": "quarantined" if value.origins is OriginPolicy.QUARANTINE else "flagged",
            "retention": _retention(value.retention_days),
            "legal hold": value.legal_hold,
            "quota a key": _quota_words(value),
            "deletes nothing before": iso_ms(value.effective_from) if value.effective_from else "",
            "contacts": value.contacts,
            "switches": [f"{name}={'on' if on else 'off'}" for name, on in sorted(value.switches.items())],
            "changed": iso_ms(value.changed_at),
        }
    )


def _source(source: Source) -> str:
    own = "".join(f" {pattern}" for pattern in source.allowed_origins)
    kept = "" if source.retention_days is None else f" ({_retention(source.retention_days)})"
    return f"{source.id}:{source.type}{own}{kept}"


def _quota_words(value: Workspace) -> str:
    limits = [
        f"{limit:,} {unit}/s"
        for limit, unit in ((value.quota_records, "records"), (value.quota_bytes, "bytes"))
        if limit is not None
    ]
    if not limits:
        return "none"
    over = "not held to it" if value.over_quota is OverQuota.OFF else f"over it: {value.over_quota}"
    return f"{', '.join(limits)}, {value.quota_burst} s at once; {over}"


def _retention(days: int | None) -> str:
    return FOREVER if days is None else f"{days} days"


def _json(value: Workspace) -> dict[str, Any]:
    return msgspec.json.decode(codec.encode(value), type=dict[str, Any])
