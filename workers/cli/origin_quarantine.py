"""`strongroom origins release` and `discard`: what becomes of what was quarantined of a host."""

import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, TypeVar

import click

from topics.origin_verdicts import VerdictKind
from workers import opening
from workers.by import By
from workers.cli import output, running
from workers.cli.keys import Duration
from workers.cli.origin_chains import Chains, keys_of, keys_option, workspace_option
from workers.cli.policy import asked_by
from workers.errors import Fatal, Poison
from workers.intake.dispositions import Clock, Disposition
from workers.intake.kept import QUARANTINE_DAYS
from workers.ledger.entries import Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.pack import Compression, Packer
from workers.ledger.quarantine import Moved, Quarantine, Wanted
from workers.ledger.verdict_commands import checked_host
from workers.roles.process import now
from workers.sealing.keys import Unit
from workers.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS = ("day", "source", "became", "records")
RELEASE, DISCARD = "release", "discard"
FINDINGS = 1  # exit code


@dataclass
class Outcome:
    rows: list[tuple[str, str, str, int]] = field(default_factory=list)
    amiss: dict[str, str] = field(default_factory=dict)  # unit or object → what is wrong with it

    def add(self, unit: Unit, became: str, moved: Moved) -> None:
        if moved.records:
            self.rows.append((unit.day, unit.source, became, moved.records))
        self.amiss |= moved.broken


def _options(command: F) -> F:
    for option in reversed(
        (
            click.option("--host", required=True, help="The host that the records came from."),
            workspace_option,
            keys_option,
            click.option(
                "--day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day's (UTC, the broker's time)."
            ),
            click.option("--since", type=Duration(), help="Only of the days since then, as 7d."),
            click.option("--reason", required=True, help="Who said so, and why; kept for ever."),
            click.option("--dry-run", is_flag=True, help="Only count what there is."),
            output.json_option,
        )
    ):
        command = option(command)
    return command


@click.command()
@_options
def release(
    host: str,
    workspace: str,
    keys: Sequence[str],
    day: datetime | None,
    since: int | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Move what was quarantined of HOST to the workspace's own records, each record once.

    It becomes accepted where the host is approved, flagged otherwise. May be repeated, and interrupted: what
    is left is moved by the next call. Exit code 1 if a day's records can't be moved.
    """
    return _run(RELEASE, host, workspace, keys, _days(day, since), reason, dry_run, as_json)


@click.command()
@_options
def discard(
    host: str,
    workspace: str,
    keys: Sequence[str],
    day: datetime | None,
    since: int | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Give up what was quarantined of HOST, for good: nobody reads it any more.

    The bytes go when the day's quarantine is disposed of. Refused while the workspace is under a legal hold.
    """
    return _run(DISCARD, host, workspace, keys, _days(day, since), reason, dry_run, as_json)


def _days(day: datetime | None, since: int | None) -> list[str]:
    """The days of which anything may be quarantined, the oldest first."""
    if day is not None and since is not None:
        raise Poison("--day and --since exclude each other", remedy="Give one of them")
    if day is not None:
        return [f"{day:%Y-%m-%d}"]
    today = datetime.fromtimestamp(now() / 1000, UTC).date()
    first = today - timedelta(days=QUARANTINE_DAYS)
    if since is not None:
        first = max(first, datetime.fromtimestamp((now() - since) / 1000, UTC).date())
    return [(first + timedelta(days=number)).isoformat() for number in range((today - first).days + 1)]


def _run(
    what: str,
    host: str,
    workspace: str,
    keys: Sequence[str],
    days: Sequence[str],
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    if not reason.strip():
        raise Poison("the customer's word needs a reason", remedy="Give --reason: it is kept for ever")
    settings, name = Settings.load(), checked_host(host)
    by = asked_by(settings, f"{name}: {reason}")
    found = running.run(_move(settings, "" if dry_run else what, name, workspace, keys, days, by))
    output.table(COLUMNS, found.rows, as_json=as_json, title="Quarantined" if dry_run else "Moved")
    for name, why in found.amiss.items():
        output.say(f"{output.visible(name)}: {output.visible(why)}")
    if not found.rows and not found.amiss:
        output.say(f"nothing is quarantined of {host}, as far as it was asked for")
    return FINDINGS if found.amiss else 0


async def _move(
    settings: Settings,
    what: str,
    host: str,
    workspace: str,
    asked: Sequence[str],
    days: Sequence[str],
    by: By,
) -> Outcome:
    found = Outcome()
    async with _opened(settings, workspace) as (quarantine, chains):
        keys = await keys_of(chains.keys, workspace, asked)
        verdicts = await chains.on(keys, host)
        approved = {key for key, value in verdicts.items() if value.kind is VerdictKind.BENIGN}
        for source in sorted({value.source for value in keys.values()}):
            own = frozenset(key for key, value in keys.items() if value.source == source)
            for day in days:
                unit = Unit(workspace, source, day, Clock.QUARANTINE)
                try:
                    if what == RELEASE:
                        for become, some in (
                            (Disposition.ACCEPTED, own & approved),
                            (Disposition.FLAGGED, own - approved),
                        ):
                            if some:
                                moved = await quarantine.release(unit, Wanted(some, host), become, by)
                                found.add(unit, become, moved)
                    elif what == DISCARD:
                        moved = await quarantine.discard(unit, Wanted(own, host), by)
                        found.add(unit, "discarded", moved)
                    else:
                        found.add(unit, "quarantined", await quarantine.count(unit, Wanted(own, host)))
                except (Poison, Fatal) as error:
                    found.amiss["/".join(unit)] = f"{error.message}. {error.remedy}"
    return found


@asynccontextmanager
async def _opened(settings: Settings, workspace: str) -> AsyncIterator[tuple[Quarantine, Chains]]:
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(opening.open_ledger(settings))
        data = await opened.enter_async_context(opening.open_data(settings))
        keys = await opened.enter_async_context(opening.open_keystore(settings))
        chains = Chains(ledger)
        flusher = Flusher(
            data=data,
            ledger=ledger,
            keys=keys,
            packer=Packer(Compression(settings.compression), settings.compression_level),
            writer=Writer(settings.instance_id or socket.gethostname(), version("strongroom")),
            retry=running.patient(),
            threads=opened.enter_context(ThreadPoolExecutor(1, "seal")),
            uploads=Uploads(settings.put_concurrency),
            now=now,
        )
        yield Quarantine(keys, flusher, lambda: chains.workspace(workspace)), chains
