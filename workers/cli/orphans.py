"""`strongroom orphans`: objects that no entry lists and none ever will, left by crashes."""

import click

from workers import opening
from workers.cli import output, running
from workers.ledger.orphans import Judged, Kind, judged
from workers.ledger.sweep import Sweep, Terms
from workers.ledger.sweep import sweep as sweep_pass
from workers.roles.process import now
from workers.settings import Settings

COLUMNS = ("key", "size", "age", "kind", "why", "chain")
DOUBTFUL = (Kind.STRANGE, Kind.FOREIGN, Kind.UNPROVEN)


@click.group()
def orphans() -> None:
    """List and sweep objects that crashes left behind."""


@orphans.command("list")
@output.json_option
def list_(as_json: bool) -> int:
    """List every object that no entry lists: its size, its age in seconds, and why it is what it is.

    Exit code 1 if some can't be judged: a name that nothing writes, no such chain, a broken ledger.
    """
    rows = running.run(_list(Settings.load()))
    output.table(COLUMNS, rows, as_json=as_json, title="Objects that no entry lists")
    return int(any(row[3] in DOUBTFUL for row in rows))


@orphans.command()
@click.option("--dry-run/--yes", default=True, help="Say what would go (the default), or delete it.")
@output.json_option
def sweep(dry_run: bool, as_json: bool) -> int:
    """Delete the orphans that are older than STRONGROOM_SWEEP_GRACE. Only says what would go without --yes.

    No brake holds it: a person looks first. In a bucket with versions the bytes stay, as old versions. Exit
    code 1 if some could not be deleted, or can't be judged.
    """
    settings = Settings.load()
    found = running.run(_sweep(settings, Terms(delete=not dry_run, grace=settings.sweep_grace)))
    output.record(summary(found, dry_run=dry_run), as_json=as_json)
    for key, why in [*found.refused.items(), *found.doubts]:
        output.say(f"{output.visible(key)}: {output.visible(why)}")
    return int(found.refusals > 0 or found.doubtful > 0)


async def _list(settings: Settings) -> list[tuple[str, int, int, str, str, str]]:
    asked = now()
    async with opening.open_ledger(settings) as ledger, opening.open_data(settings) as data:
        with output.progress("objects", None) as advance:
            rows = []
            async for each in judged(ledger, data, running.patient()):
                advance(1)
                if each.kind is not Kind.LISTED:
                    rows.append(_row(each, asked))
            return rows


def _row(each: Judged, asked: int) -> tuple[str, int, int, str, str, str]:
    return (
        each.stat.key,
        each.stat.size,
        (asked - each.stat.modified) // 1000,
        str(each.kind),
        each.why,
        each.chain,
    )


async def _sweep(settings: Settings, terms: Terms) -> Sweep:
    async with opening.open_ledger(settings) as ledger, opening.open_data(settings) as data:
        with output.progress("objects", None) as advance:
            return await sweep_pass(ledger, data, running.patient(), now(), terms, lambda each: advance(1))


def summary(found: Sweep, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry run": dry_run,
        "objects": found.objects,
        **{str(kind): found.kinds[kind] for kind in Kind},
        "due": found.due,
        "due bytes": found.due_bytes,
        "swept": found.swept,
        "swept bytes": found.swept_bytes,
        "refused": found.refusals,
    }
