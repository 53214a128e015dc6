"""`strongroom readers`: who may have a workspace's data keys unwrapped by the key service."""

import click

from topics.ids import checked_customer_id
from topics.times import iso_ms
from workers import opening
from workers.by import By
from workers.cli import output, running
from workers.cli.policy import asked_by
from workers.errors import Poison
from workers.sealing import readers as standing_readers
from workers.sealing.keys import Reader, reader_of
from workers.sealing.rows import ReaderRow
from workers.sealing.workspaces import Workspaces
from workers.settings import Settings

DAY = 86_400_000  # ms
COLUMNS = ("reader", "workspace", "state", "made", "expires", "who", "host")


@click.group()
def readers() -> None:
    """Add, list and revoke readers of the key service."""


@readers.command()
@click.option("--workspace", required=True, help="Whose objects it is to read.")
@click.option("--days", type=click.IntRange(1, 3650), help="It ends by itself after so long.")
@click.option("--reason", default="", help="For whom, or why; kept on record.")
@output.json_option
def add(workspace: str, days: int | None, reason: str, as_json: bool) -> None:
    """Make a reader of a workspace, and print its secret: this once, it is kept nowhere in clear."""
    checked_customer_id("workspace", workspace)
    settings = Settings.load()
    by = asked_by(settings, reason)
    expires_at = None if days is None else by.now + days * DAY
    reader, secret = running.run(_add(settings, workspace, expires_at, by))
    output.record(
        {
            "access key id": reader.access_key_id,
            "secret access key": secret.text,
            "expires": "never" if expires_at is None else iso_ms(expires_at),
        },
        as_json=as_json,
    )


@readers.command("list")
@click.option("--workspace", help="Only this one's.")
@output.json_option
def list_readers(workspace: str | None, as_json: bool) -> None:
    """List readers, those that were revoked or have expired too."""
    settings = Settings.load()
    by = asked_by(settings, "")
    found = running.run(_list(settings, workspace))
    rows = [_shown(reader, row, by.now) for reader, row in found]
    output.table(COLUMNS, rows, as_json=as_json, title="Readers")


@readers.command()
@click.argument("reader")
@click.option("--reason", default="", help="Why; kept on record.")
def revoke(reader: str, reason: str) -> None:
    """End READER (its access key id) for good. The last key service lets go of it a cache's life later."""
    found = reader_of(reader)
    if found is None:
        raise Poison(
            f"{reader[:100]!r} is no access key id of a reader",
            remedy="`strongroom readers list` shows them",
        )
    settings = Settings.load()
    by = asked_by(settings, reason)
    running.run(_revoke(settings, found, by))
    gone = by.now + round(settings.key_cache_life * 1000)
    output.say(f"revoked; no key service takes it any more from {iso_ms(gone)} on, most much earlier")


async def _add(
    settings: Settings, workspace: str, expires_at: int | None, by: By
) -> tuple[Reader, standing_readers.ReaderSecret]:
    async with opening.open_roots(settings) as roots, opening.open_key_rows(settings) as replicas:
        workspaces = Workspaces(replicas, roots, keep=1, now=lambda: by.now)
        return await standing_readers.add(
            replicas, workspaces, workspace, expires_at=expires_at, by=by, retry=running.patient()
        )


async def _list(settings: Settings, workspace: str | None) -> list[tuple[Reader, ReaderRow | None]]:
    async with opening.open_key_rows(settings) as replicas:
        retry = running.patient()
        return [found async for found in standing_readers.standing(replicas, workspace, retry)]


async def _revoke(settings: Settings, reader: Reader, by: By) -> None:
    async with opening.open_key_rows(settings) as replicas:
        await standing_readers.revoke(replicas, reader, by, running.patient())


def _shown(reader: Reader, row: ReaderRow | None, now: int) -> tuple[object, ...]:
    if row is None:
        return (reader.access_key_id, reader.workspace, "revoked", "", "", "", "")
    expired = row.expires_at is not None and now >= row.expires_at
    return (
        reader.access_key_id,
        reader.workspace,
        "expired" if expired else str(row.state),
        iso_ms(row.made_at),
        "never" if row.expires_at is None else iso_ms(row.expires_at),
        row.who,
        row.host,
    )
