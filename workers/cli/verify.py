"""`strongroom verify`: proves the archive from the buckets alone."""

import asyncio
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from workers import opening
from workers.cli import output, running
from workers.errors import Fatal
from workers.ledger.chain import read
from workers.ledger.head import after_genesis, read_head
from workers.ledger.verify import READERS, Opening, Verifier
from workers.ledger.verify_report import NoteKind, Report
from workers.ledger.verify_state import StateFile
from workers.ledger.verify_tails import Sources
from workers.ledger.walk import chains
from workers.retention import certificate_audit, closing_audit, index_audit
from workers.retention.index import UnitIndex
from workers.roles.process import now
from workers.sealing.signing import Trust
from workers.settings import Settings
from workers.store.port import Store
from workers.store.retry import Retry

TERMINATED = 143  # 128 + SIGTERM, as shells say it
THREADS = 2  # more gain nothing: what they do besides digests and ciphers is Python


@click.command()
@click.option(
    "--deep", is_flag=True, help="Open every object and count its records again. Needs the root key."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep in this file how far it came. Stopped or killed, the same command goes on from there.",
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 128),
    default=READERS,
    show_default=True,
    help="Objects that are read at once.",
)
@click.option(
    "--checkpoints",
    "files",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    help="Hold the ledger against the checkpoints in this file too, one a line.",
)
@click.option(
    "--from-checkpoint",
    "from_checkpoint",
    is_flag=True,
    help="Read each chain from its newest checkpoint on; its signature vouches for what is before.",
)
@output.json_option
def verify(
    deep: bool,
    state: Path | None,
    parallel: int,
    files: tuple[Path, ...],
    from_checkpoint: bool,
    as_json: bool,
) -> int:
    """Prove from the buckets alone that nothing is missing or changed.

    Reads every entry, every policy change and every object, and holds digests, counts, names, seals and key
    rows against each other. Needs neither Kafka nor, without --deep, keys. With the public keys of
    STRONGROOM_CHECKPOINT_TRUST_FILE, it proves that no chain was cut behind its newest checkpoint.
    docs/verify.md says what each finding means.
    Exit codes: 0 clean, 1 findings, 3 a bucket could not be reached.
    """
    settings = Settings.load()
    asked = Asked(deep, state, parallel, _trust(settings, files, from_checkpoint), files, from_checkpoint)
    report = running.run(_stoppable(settings, asked))
    if as_json:
        output.print_json({"clean": report.clean, "deep": deep, **msgspec.to_builtins(report)})
    else:
        _show(report)
    return 0 if report.clean else 1


class Asked(NamedTuple):
    """What the command line says."""

    deep: bool
    state: Path | None
    parallel: int
    trust: Trust | None
    files: tuple[Path, ...]
    from_checkpoint: bool


def _trust(settings: Settings, files: tuple[Path, ...], from_checkpoint: bool) -> Trust | None:
    """None where no public keys are named: checkpoints are left alone. Raises BadSettings if asked for."""
    if settings.checkpoint_trust_file is not None:
        return Trust.load(settings.checkpoint_trust_file)
    if files or from_checkpoint:
        opening.needed(settings, "checkpoint_trust_file")
    return None


async def _stoppable(settings: Settings, asked: Asked) -> Report:
    """SIGTERM ends it as Ctrl-C does: what was proven is in the state."""
    auditing = asyncio.ensure_future(_verify(settings, asked))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, auditing.cancel)
    try:
        return await auditing
    except asyncio.CancelledError:
        if asked.state is not None:
            output.say(f"stopped; the same command goes on from where {asked.state} says")
        if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # there is one: it runs this
            raise  # by Ctrl-C
        sys.exit(TERMINATED)


async def _verify(settings: Settings, asked: Asked) -> Report:
    retry = running.patient()
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(opening.open_ledger(settings))
        buckets = await opened.enter_async_context(opening.open_all_data(settings))
        root: Opening | None = None
        if asked.deep:
            roots = await opened.enter_async_context(opening.open_roots(settings))
            keystore = await opened.enter_async_context(opening.open_keystore(settings, roots))
            rows, root = keystore.replicas, Opening(keystore, roots.fingerprints)
        else:
            rows = await opened.enter_async_context(opening.open_key_rows(settings))
        sources: Sources | None = None
        if asked.trust is not None:
            stores = await opened.enter_async_context(opening.open_checkpoints(settings, ledger))
            sources = Sources(stores, asked.trust, {str(path): path.read_bytes() for path in asked.files})
        total = await _offsets(ledger, retry) if sys.stderr.isatty() else None
        advance = opened.enter_context(output.progress("offsets", total))
        report = await Verifier(
            ledger,
            buckets[0],
            retry,
            keystore=rows,
            opening=root,
            readers=asked.parallel,
            threads=opened.enter_context(ThreadPoolExecutor(THREADS)),
            state=None if asked.state is None else StateFile(asked.state),
            checkpoints=sources,
            from_checkpoints=asked.from_checkpoint,
            progress=_steps(advance),
        ).run()
        index = UnitIndex(ledger, retry, now)
        if asked.from_checkpoint:
            await index_audit.leave_out(ledger, retry, report)
        else:
            await index_audit.audit(ledger, retry, report)
        unreadable = any(note.kind == NoteKind.KEYS_UNREADABLE for note in report.notes)
        keys = None if unreadable else rows
        of_objects = None if asked.from_checkpoint else index
        against = certificate_audit.Against(ledger, buckets, keys, of_objects, retry)
        await certificate_audit.audit(against, report, now())
        await closing_audit.audit(ledger, keys, index, retry, report, now())
        return report


async def _offsets(ledger: Store, retry: Retry) -> int:
    """How many the ledger holds, for the bar alone: a chain that is broken is left out."""
    total = 0
    async for chain in chains(ledger, retry):
        try:
            head = await read_head(ledger, chain, None, retry)
            body = await read(ledger, chain.genesis, retry)
            if head is not None and body is not None:
                total += head.next - after_genesis(chain, body).next
        except Fatal:
            continue
    return total


def _steps(advance: Callable[[int], None]) -> Callable[[Report], None]:
    told = 0

    def step(report: Report) -> None:
        nonlocal told
        advance(report.offsets - told)
        told = report.offsets

    return step


def _show(report: Report) -> None:
    output.record(summary(report))
    for title, found in (("Findings", report.findings), ("Notes", report.notes)):
        if found:
            output.table(
                [title.lower().removesuffix("s"), "where", "detail"],
                [(each.kind, each.where, each.detail) for each in found],
                title=title,
            )
    if report.found_in_all > len(report.findings):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
        output.say(f"not all of the findings are listed; in all there are {kinds}")


def summary(report: Report) -> dict[str, object]:
    return {
        "verdict": "clean" if report.clean else f"{report.found_in_all} findings",
        "chains": report.chains,
        "entries": report.entries,
        "closed chains": report.closings,
        "checkpoints held against them": report.checkpoints,
        "chains read from a checkpoint on": report.vouched_chains,
        "entries before, vouched for": report.vouched_entries,
        "offsets before, vouched for": report.vouched_offsets,
        "offsets": report.offsets,
        "lost": report.lost,
        "closings with an unknown loss": report.lost_unknown,
        **{f"records {disposition}": count for disposition, count in sorted(report.records.items())},
        "objects": report.objects,
        "objects opened": report.opened,
        "records counted in them": report.lines,
        "objects of withdrawn keys": report.withdrawn,
        "objects gone with leave": report.gone,
        "plain bytes": report.plain_bytes,
        "stored bytes": report.stored_bytes,
        "unit chains": report.unit_chains,
        "unit entries": report.unit_entries,
        "records consumed": report.consumed,
        **{f"of these {became}": count for became, count in sorted(report.became.items())},
        "policy changes": report.policy_entries,
        "orphans": report.orphans,
        "of these at or behind a head": report.beyond_head,
    }
