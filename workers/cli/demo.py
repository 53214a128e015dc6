"""`strongroom demo`: archives events on an embedded Kafka and S3, with the real worker, and shows it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import click

from topics import raw_events, write_keys
from workers import opening
from workers.cli import output, running
from workers.cli.demo_report import Finding, Seen, show
from workers.cli.policy import asked_by, open_policy
from workers.cli.run_folder import run_folder
from workers.cli.send import send_record
from workers.embedded.child import Broken
from workers.embedded.fleet import Fleet, embedded_fleet
from workers.embedded.outcome import Outcome, fold
from workers.embedded.plan import Plan, Revocation, file_plan, records, sample_plan, set_up
from workers.event_files import Tally
from workers.intake.dispositions import PLATFORM
from workers.ledger.policy_commands import Books, revoke_key
from workers.ledger.read import open_object
from workers.ledger.verify import Verifier
from workers.settings import Settings
from workers.stream.log import Log
from workers.stream.publish import Publisher

FLUSH_INTERVAL = 1.0  # seconds
PATIENCE = 30.0  # seconds without progress until the demo gives up
LOOK = 0.1  # seconds between looks at what the worker has done
PACE = 2000  # records between such looks while sending


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
def demo(file: str | None) -> int:
    """Archive sample events, or those of FILE, on an embedded Kafka and S3, and show what came of them.

    FILE is NDJSON, plain or gzip, of envelopes or bare Segment calls. Nothing is left behind. Exit code 1,
    with the worker's last words, if anything is not as it must be.
    """
    with run_folder() as folder:
        seen = running.run(_demo(folder, file))
        findings = show(seen)
        if findings:
            raise Finding("\n".join(["the demo did not end as it must:", *findings]))
    return 0


async def _demo(folder: Path, file: str | None) -> Seen:
    plan = sample_plan() if file is None else file_plan(file)
    tell = _narrator()
    async with embedded_fleet(folder, flush_interval=FLUSH_INTERVAL) as fleet:
        tell(f"Kafka at {fleet.stack.bootstrap}, S3 at {fleet.stack.endpoint}; the archive worker starts")
        async with open_policy(fleet.settings) as opened, opening.open_publisher(fleet.settings) as publisher:
            await set_up(opened, plan, asked_by(fleet.settings, "strongroom demo"))
            tell(f"{len(plan.workspaces)} workspaces and {len(plan.keys)} write keys set up")
            await fleet.ready()
            tell("the archive worker is ready")
            tally, seconds = await _archive(fleet, opened, publisher, plan, file, tell)
        ends = await _log_ends(fleet.settings)
        await fleet.stop()
        tell("SIGTERM: the worker ended with exit code 0")
        outcome, seen = await _look_back(fleet.settings, plan, tally, seconds)
        if outcome.heads != ends:
            raise Broken(
                f"the ledger ends at {outcome.heads}, the log at {ends}; {fleet.archive.last_words()}"
            )
        tell("read back, decrypted and verified")
    return seen


class _Archiving:
    """Follows what the worker has committed."""

    def __init__(self, fleet: Fleet, advance: Callable[[int], None]) -> None:
        self._fleet = fleet
        self._advance = advance
        self._archived = 0

    async def look(self) -> int:
        self._fleet.check()
        archived = await self._fleet.archived()
        self._advance(archived - self._archived)
        self._archived = archived
        return archived

    async def reach(self, wanted: int) -> None:
        """Returns when `wanted` records are archived. Raises Broken if the worker stands still."""
        before, since = -1, time.monotonic()
        while (archived := await self.look()) < wanted:
            if archived > before:
                before, since = archived, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                raise Broken(
                    f"{archived} of {wanted} records were archived, then none for {PATIENCE:.0f} s; "
                    f"{self._fleet.archive.last_words()}"
                )
            await asyncio.sleep(LOOK)


async def _archive(
    fleet: Fleet,
    opened: Books,
    publisher: Publisher,
    plan: Plan,
    file: str | None,
    tell: Callable[[str], None],
) -> tuple[Tally, float]:
    """Sends everything, revoking keys on the way; returns when all is in the ledger, and after how long."""
    tally = Tally()
    due = sorted(plan.revocations, key=lambda revocation: revocation.after_records, reverse=True)
    begun = time.monotonic()
    with records(file) as lines, output.progress("archiving", plan.records) as advance:
        archiving = _Archiving(fleet, advance)
        for record in lines:
            while due and due[-1].after_records <= tally.records:
                await publisher.flush()
                await archiving.reach(tally.records)
                await _revoke(fleet, opened, due.pop(), tell)
            await send_record(publisher, fleet.settings.topic_prefix, record, tally)
            if tally.records % PACE == 0:
                await archiving.look()
        await publisher.flush()
        await archiving.reach(tally.records)
    seconds = time.monotonic() - begun
    tell(f"{tally.records} records sent and archived")
    return tally, seconds


async def _revoke(fleet: Fleet, opened: Books, revocation: Revocation, tell: Callable[[str], None]) -> None:
    """Revokes a key while the worker runs; returns when the worker knows."""
    known = await fleet.policy_version(write_keys.NAME)
    await revoke_key(opened, revocation.key, asked_by(fleet.settings, revocation.reason))
    begun = time.monotonic()
    while await fleet.policy_version(write_keys.NAME) == known:
        fleet.check()
        if time.monotonic() - begun > PATIENCE:
            raise Broken(f"the worker never heard of a revocation; {fleet.archive.last_words()}")
        await asyncio.sleep(LOOK)
    tell(f"write key {revocation.key} revoked ({revocation.reason}); the running worker knows")


async def _log_ends(settings: Settings) -> dict[int, int]:
    """Partition → offset after its last record, of those that hold any."""
    log = Log(opening.kafka(settings))
    topic = settings.topic_prefix + raw_events.NAME
    try:
        bounds = await log.bounds(topic, await log.partitions(topic))
    finally:
        await log.close()
    return {partition: end for partition, (start, end) in bounds.items() if end > start}


async def _look_back(settings: Settings, plan: Plan, tally: Tally, seconds: float) -> tuple[Outcome, Seen]:
    """As a reader and as an auditor do it: through the ledger, from the bucket alone."""
    retry = running.patient()
    async with (
        opening.open_ledger(settings) as ledger,
        opening.open_data(settings) as data,
        opening.open_keystore(settings) as keys,
    ):
        outcome = await fold(ledger, retry)
        report = await Verifier(ledger, data, retry).run()
        objects = [stored for all_of in outcome.stored.values() for stored in all_of]
        line = b""
        if objects:
            # a customer's own rather than a dead letter
            chosen = min(objects, key=lambda stored: (stored.workspace == PLATFORM, stored.key))
            line = (await open_object(data, keys, chosen, retry))[0]
    return outcome, Seen(outcome, report, tally, plan.expected, seconds, line)


def _narrator() -> Callable[[str], None]:
    begun = time.monotonic()
    return lambda line: click.echo(f"{time.monotonic() - begun:5.1f} s  {line}")
