"""`strongroom origins`: what is known of hosts that send with customers' keys, and the customer's word."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from topics import origin_verdicts
from topics.origin_verdicts import OriginVerdict, VerdictKind, codec
from topics.times import iso_ms
from topics.write_keys import KeyState
from workers.cli import output, roll_call, running
from workers.cli.origin_chains import keys_of, keys_option, read_chains, workspace_option
from workers.cli.origin_observed import learn, simulate
from workers.cli.origin_quarantine import discard, release
from workers.cli.policy import asked_by, open_policy
from workers.errors import Poison
from workers.ledger.verdict_commands import checked_host, confirm_verdicts
from workers.observe.roll_call import Answers
from workers.origins.words import evidence_words, verdict_words
from workers.settings import Settings

COLUMNS = ("workspace", "key", "host", "verdict", "by", "pages", "changed", "reason")
LIVE = frozenset({KeyState.ACTIVE, KeyState.RETIRING})


@click.group()
def origins() -> None:
    """Show hosts that send with customers' write keys, and put the customer's word on record."""


for command in (release, discard, simulate, learn):
    origins.add_command(command)


@origins.command("list")
@click.option("--workspace", help="Only this workspace's.")
@click.option("--verdict", type=click.Choice([kind.value for kind in VerdictKind]), help="Only those.")
@output.json_option
def list_origins(workspace: str | None, verdict: str | None, as_json: bool) -> None:
    """List the verdicts: which hosts, of whose key, what was said and by whom."""
    everything = running.run(read_chains(lambda chains: chains.verdicts.everything()))
    chosen = [
        value
        for value in everything.values()
        if workspace in (None, value.workspace) and verdict in (None, value.kind.value)
    ]
    chosen.sort(key=lambda value: (value.workspace, value.host, value.key))
    if as_json:
        output.print_json([_json(value) for value in chosen])
    else:
        output.table(COLUMNS, [_row(value) for value in chosen], title="Verdicts")


@origins.command()
@click.argument("host")
@workspace_option
@keys_option
@output.json_option
def show(host: str, workspace: str, keys: Sequence[str], as_json: bool) -> None:
    """Say what is known of HOST, in words that a customer can be told, for each write key."""
    name = checked_host(host)
    standing, verdicts = running.run(read_chains(lambda chains: chains.on_host(workspace, name)))
    chosen = [value for value in verdicts if not keys or value.key in keys]
    if not chosen:
        raise Poison(
            f"nothing was said of {name} for {workspace}",
            remedy=f"`strongroom origins list --workspace {workspace}` shows where there are verdicts",
        )
    told = [(value, verdict_words(value.kind, standing.origins)) for value in chosen]
    if as_json:
        output.print_json(
            [
                {**_json(value), "means": means, "words": evidence_words(value.evidence)}
                for value, means in told
            ]
        )
        return
    for value, means in told:
        output.record(
            {
                "host": value.host,
                "key": value.key,
                "verdict": f"{value.kind}, by {_by(value)}, {iso_ms(value.changed_at)}",
                "means": means,
                "reason": value.reason,
            }
        )
        for words in evidence_words(value.evidence):
            output.record({"found": words[0].upper() + words[1:]})


@origins.command()
@click.argument("host")
@workspace_option
@keys_option
@click.option("--reason", required=True, help="Who said so, and why; kept for ever.")
@roll_call.wait_option
@output.json_option
def approve(
    host: str, workspace: str, keys: Sequence[str], reason: str, wait: float | None, as_json: bool
) -> int:
    """Accept what HOST sends, by the customer's word: for all write keys of the workspace, or --key.

    What lies in quarantine stays there until it is released. A host that is to hold for future keys too is
    listed: `strongroom workspaces set W --allow-origin HOST`.
    """
    return _confirm(host, workspace, keys, VerdictKind.BENIGN, reason, wait, as_json)


@origins.command()
@click.argument("host")
@workspace_option
@keys_option
@click.option("--reason", required=True, help="Who said so, and why; kept for ever.")
@roll_call.wait_option
@output.json_option
def block(
    host: str, workspace: str, keys: Sequence[str], reason: str, wait: float | None, as_json: bool
) -> int:
    """Reject what HOST sends, by the customer's word: for all write keys of the workspace, or --key.

    What was stored of it stays as it is. It holds for a key that one of these is rotated to, and for no other
    that is added later.
    """
    return _confirm(host, workspace, keys, VerdictKind.HOSTILE, reason, wait, as_json)


def _confirm(
    host: str,
    workspace: str,
    keys: Sequence[str],
    kind: VerdictKind,
    reason: str,
    wait: float | None,
    as_json: bool,
) -> int:
    settings, name = Settings.load(), checked_host(host)

    async def run() -> tuple[Mapping[str, OriginVerdict], Answers | None]:
        async with open_policy(settings) as books:
            about = await keys_of(books.keys.chain, workspace, keys, LIVE)
            said = await confirm_verdicts(
                books.verdicts, workspace, about, name, kind, asked_by(settings, reason)
            )
        if wait is None:
            return said, None
        placed = roll_call.places(books.verdicts.placed, said)
        return said, await roll_call.applied_by_all(settings, placed, wait, topic=origin_verdicts.NAME)

    said, heard = running.run(run())
    if as_json:
        shown = [_json(value) for value in said.values()]
        workers = {} if heard is None else {"workers": roll_call.as_json(heard)}
        output.print_json({"verdicts": shown, **workers})
    else:
        output.table(COLUMNS, [_row(value) for value in said.values()], title="Verdicts")
    return 0 if heard is None else roll_call.told(heard)


def _by(value: OriginVerdict) -> str:
    return "the customer" if value.confirmed else "the judge"


def _row(value: OriginVerdict) -> Sequence[object]:
    told = int(value.evidence.get("pages_told", 0))
    pages = f"{int(value.evidence.get('pages_found', 0))} of {told}" if told else ""
    place = (value.workspace, value.key, value.host)
    return (*place, value.kind, _by(value), pages, iso_ms(value.changed_at), value.reason)


def _json(value: OriginVerdict) -> dict[str, Any]:
    return msgspec.json.decode(codec.encode(value), type=dict[str, Any])
