"""`strongroom keystore`: shows, rotates and shreds the keys that seal the archive."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from topics.times import iso_ms
from workers import opening
from workers.by import By
from workers.cli import output, running
from workers.cli.policy import asked_by
from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.ledger.fleet import change_roots, stored_fleet
from workers.ledger.shown import Selection, Showing
from workers.roles.process import now
from workers.sealing import listing
from workers.sealing.key_events import What, events, put_on_record
from workers.sealing.key_loss import KeyLoss
from workers.sealing.keys import Unit, checked_unit
from workers.sealing.rotate import Rotation
from workers.sealing.rotate_root import rewrap_all
from workers.sealing.rows import named, unit_row, workspace_row
from workers.sealing.survey import COLUMNS, Standing, survey
from workers.sealing.withdraw import tombstone
from workers.settings import Settings

# seconds: what one request to a bucket may take in all, tries of the client included
LONGEST_REQUEST = 60.0
EVENTS = ("at", "what", "rows", "generation", "who", "host", "why")

reason_option = click.option("--reason", required=True, help="Why; kept on record.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def keystore() -> None:
    """Show, rotate and shred the keys that seal the archive."""


@keystore.command()
@click.option("--workspace", help="Only this one's.")
@output.json_option
def status(workspace: str | None, as_json: bool) -> int:
    """Show each workspace's key: its generations, the root keys that wrap it, its units' rows.

    Exit code 1 where something is to be done: rows under an older generation, a root key that wraps not
    all, buckets that differ.
    """
    found = running.run(_status(Settings.load(), workspace))
    output.table(COLUMNS, found, as_json=as_json, title="Workspace keys")
    return int(any(row.remarks for row in found))


@keystore.command("events")
@output.json_option
def events_(as_json: bool) -> None:
    """Show what people did to keys, when, and why."""
    output.table(EVENTS, running.run(_events(Settings.load())), as_json=as_json, title="Key events")


@keystore.group()
def rotate() -> None:
    """Replace a key by a new one. Workers go on, objects are not touched."""


@rotate.command("workspace")
@click.argument("workspace")
@reason_option
def rotate_workspace(workspace: str, reason: str) -> None:
    """Give WORKSPACE a new key, wrap its units' rows by it, and destroy the old one.

    It ends when no worker can have the old one cached any more: a cache life after the last row. Killed, it
    is gone on with by the same command.
    """
    settings = Settings.load()
    running.run(_rotate_workspace(settings, workspace, asked_by(settings, reason)))


@rotate.command("root")
@reason_option
def rotate_root(reason: str) -> None:
    """Wrap each workspace's key by exactly the root keys of this command's settings.

    To replace a root key: give every worker the old and the new one, run this with both, then with the new
    one alone; give every worker that alone, run this once more. Killed, it is gone on with by the same
    command.
    """
    settings = Settings.load()
    running.run(_rotate_root(settings, asked_by(settings, reason)))


@keystore.group()
def shred() -> None:
    """Make what a key sealed unreadable, for good, in every copy and backup."""


@shred.command("workspace")
@click.argument("workspace")
@reason_option
@yes_option
def shred_workspace(workspace: str, reason: str, yes: bool) -> None:
    """Shred the key of WORKSPACE: all its units, of all days. It can never have a key again."""
    settings = Settings.load()
    _shred(settings, [workspace_row(workspace)], asked_by(settings, reason), workspace, yes=yes)


@shred.command("day")
@click.argument("workspace")
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--source", help="Only this source's.")
@reason_option
@yes_option
def shred_day(workspace: str, day: Any, source: str | None, reason: str, yes: bool) -> None:
    """Shred the keys of WORKSPACE that sealed what came on DAY (UTC). It can never be sealed for again."""
    settings, wanted = Settings.load(), f"{day:%Y-%m-%d}"
    names = running.run(_rows_of_day(settings, workspace, wanted, source))
    if not names:
        raise Poison(
            f"workspace {workspace} has no key of {wanted}" + (f" for source {source}" if source else ""),
            remedy="`strongroom keystore status` shows which it has",
        )
    _shred(settings, names, asked_by(settings, reason), f"{workspace} {wanted}", yes=yes)


async def _status(settings: Settings, workspace: str | None) -> list[Standing]:
    retry = running.patient()
    async with opening.open_ledger(settings) as ledger, opening.open_key_rows(settings) as replicas:
        fleet = await stored_fleet(ledger, retry)
        with output.progress("workspaces", None) as advance:
            found = []
            roots = () if fleet is None else fleet.fingerprints
            async for each in survey(replicas, retry, roots=roots, workspace=workspace):
                advance(1)
                found.append(each)
            return found


async def _events(settings: Settings) -> list[Sequence[object]]:
    async with opening.open_key_rows(settings) as replicas:
        return [
            (iso_ms(each.at), each.what, " ".join(each.rows), each.generation, each.who, each.host, each.why)
            async for each in events(replicas.stores[0])
        ]


async def _rotate_workspace(settings: Settings, workspace: str, by: By) -> None:
    async with opening.open_roots(settings) as roots, opening.open_key_rows(settings) as replicas:
        with output.progress("rows", None) as advance:
            rotation = Rotation(replicas, roots, workspace, retry=running.patient(), now=now, advance=advance)
            await rotation.run(by, lambda: asyncio.sleep(settling(settings)), output.say)


async def _rotate_root(settings: Settings, by: By) -> None:
    retry = running.patient()
    async with (
        opening.open_ledger(settings) as ledger,
        opening.open_roots(settings) as roots,
        opening.open_key_rows(settings) as replicas,
    ):
        await retry.call(lambda: put_on_record(replicas.stores, What.ROOT_ROTATION_BEGUN, (), by))
        with output.progress("workspaces", None) as advance:
            rewrap = partial(rewrap_all, replicas, roots, retry=retry, now=now, advance=advance)
            first = await rewrap()
            # from here on no worker starts that would make keys without one of these; what such a worker made
            # meanwhile is wrapped by the second pass
            await change_roots(ledger, roots.fingerprints, retry)
            second = await rewrap()
        await retry.call(lambda: put_on_record(replicas.stores, What.ROOT_ROTATION_DONE, (), by))
    output.say(
        f"{first.rewrapped + second.rewrapped} of {second.workspaces} workspaces' keys were wrapped anew, "
        f"by {', '.join(roots.fingerprints)}"
    )


async def _rows_of_day(settings: Settings, workspace: str, day: str, source: str | None) -> list[str]:
    wanted = [Unit(workspace, source or "any", day, clock) for clock in Clock]
    for unit in wanted:
        checked_unit(unit)  # names what is wrong with an id, before anything is asked of the bucket
    async with opening.open_key_rows(settings) as replicas:
        if source is not None:
            return [unit_row(unit) for unit in wanted]
        found = []
        async for names in listing.units(replicas.stores[0], workspace, running.patient()):
            owners = [(name, named(name)) for name in names]
            found += [name for name, owner in owners if isinstance(owner, Unit) and owner.day == day]
        return found


def _shred(settings: Settings, names: Sequence[str], by: By, what: str, *, yes: bool) -> None:
    loss = running.run(_loss(settings, names))
    output.record(
        {
            "keys": len(names),
            "objects": loss.objects,
            "records": loss.records,
            "stored bytes": loss.stored_bytes,
            "days": f"{min(loss.days)} to {max(loss.days)}" if loss.days else "none",
        }
    )
    if not yes:
        typed = click.prompt(f"All this can never be read again. Type {what!r} to go on", err=True)
        if typed != what:
            raise Poison(f"{typed!r} is not {what!r}", remedy="Nothing was shredded")
    running.run(_tombstone(settings, names, by))
    gone = now() + round(settling(settings) * 1000)
    output.say(f"shredded; the last worker that has it cached lets go at {iso_ms(gone)}")


async def _loss(settings: Settings, names: Sequence[str]) -> KeyLoss:
    loss = KeyLoss(names)
    async with opening.open_ledger(settings) as ledger:
        with output.progress("objects", None) as advance:
            for workspace in loss.workspaces:
                async for shown in Showing(ledger, Selection(workspace), running.patient()).all():
                    advance(1)
                    loss.count(shown.stored, shown.records)
    return loss


async def _tombstone(settings: Settings, names: Sequence[str], by: By) -> None:
    retry = running.patient()
    async with opening.open_key_rows(settings) as replicas:
        await retry.call(lambda: put_on_record(replicas.stores, What.SHREDDING_BEGUN, names, by))
        await retry.call(lambda: tombstone(replicas, names, now()))
        await retry.call(lambda: put_on_record(replicas.stores, What.SHREDDING_DONE, names, by))


def settling(settings: Settings) -> float:
    """Seconds until no worker uses a withdrawn key any more: a cache's life, and its longest request."""
    return settings.key_cache_life + LONGEST_REQUEST
