"""`strongroom origins simulate` and `learn`: what was seen lately, by another policy or as an own list."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack

import click
import msgspec

from topics.origin_observations import NAME
from topics.origin_verdicts import OriginVerdict, VerdictKind
from topics.workspaces import OriginPolicy, Workspace
from workers import opening
from workers.cli import output, running
from workers.cli.keys import Duration
from workers.cli.origin_chains import Chains, keys_option, workspace_option
from workers.ledger.verdict_commands import checked_host
from workers.origins.allow_list import Proposed, propose
from workers.origins.counterfactual import Became, Compared, Terms, compare
from workers.origins.hosts import host_patterns, parse_pattern
from workers.origins.seen import Observed
from workers.settings import Settings

HOSTS = ("source", "key", "host", "records", "now", "then", "verdict")
PATTERNS = ("pattern", "hosts", "records", "share", "why")
HOUR = 3_600_000  # ms
LEAST = 1.0  # per cent
WORST = (VerdictKind.HOSTILE, VerdictKind.COPY, VerdictKind.SUSPECT)


@click.command()
@workspace_option
@keys_option
@click.option("--since", type=Duration(), default="24h", show_default=True, help="How far back to look.")
@click.option(
    "--origins", "policy", type=click.Choice([choice.value for choice in OriginPolicy]), help="As if so."
)
@click.option("--allow-origin", "allowed", multiple=True, metavar="PATTERN", help="As if it were listed.")
@click.option("--approve", "approved", multiple=True, metavar="HOST", help="As if it were approved.")
@click.option("--block", "blocked", multiple=True, metavar="HOST", help="As if it were blocked.")
@output.json_option
def simulate(
    workspace: str,
    keys: Sequence[str],
    since: int,
    policy: str | None,
    allowed: Sequence[str],
    approved: Sequence[str],
    blocked: Sequence[str],
    as_json: bool,
) -> None:
    """Say what would have become of what was seen lately, had the workspace's policy been another.

    Nothing is changed. Verdicts count as if they had stood all the time. It knows hosts, not records: what is
    refused for another reason is not in it. A re-host is accepted where its address holds an own host.
    """
    for pattern in allowed:
        parse_pattern(pattern)
    said = {checked_host(host): VerdictKind.BENIGN for host in approved}
    said |= {checked_host(host): VerdictKind.HOSTILE for host in blocked}
    seen, standing, verdicts = running.run(_look(Settings.load(), workspace, keys, since))
    proposed = msgspec.structs.replace(standing, allowed_origins=(*standing.allowed_origins, *allowed))
    if policy is not None:
        proposed = msgspec.structs.replace(proposed, origins=OriginPolicy(policy))
    now = Terms(standing, {(each.key, each.host): each.kind for each in verdicts})
    asked = {(subject.key, subject.host): said[subject.host] for subject in seen.of if subject.host in said}
    found = compare(seen, now, Terms(proposed, {**now.verdicts, **asked}))
    if as_json:
        output.print_json(_simulated_json(workspace, since, seen, found))
        return
    output.table(HOSTS, _rows(found), title="Hosts for which it makes a difference")
    for line in _words(workspace, since, seen, found):
        output.say(line)


@click.command()
@workspace_option
@keys_option
@click.option("--since", type=Duration(), default="7d", show_default=True, help="How far back to look.")
@click.option(
    "--least",
    type=click.FloatRange(0, 100),
    default=LEAST,
    show_default=True,
    help="Per cent of the records that a host must have to be proposed.",
)
@output.json_option
def learn(workspace: str, keys: Sequence[str], since: int, least: float, as_json: bool) -> None:
    """Propose a list of the customer's own hosts from what was seen, and say why others are not on it.

    Nothing is changed: ask the customer, then list them. Hosts of a domain become one pattern where more
    than one was seen; nothing covers a domain under which anybody can have a name.
    """
    seen, standing, verdicts = running.run(_look(Settings.load(), workspace, keys, since))
    patterns = (*standing.allowed_origins, *(each for s in standing.sources for each in s.allowed_origins))
    own = host_patterns(patterns) if patterns else None
    found = propose(seen, own, _worst(verdicts), least / 100)
    output.table(PATTERNS, [_proposed(each) for each in found], as_json=as_json, title="Own hosts, proposed")
    if not seen.of:
        output.say(f"no host of {workspace} was seen in the last {_hours(since)}")
    chosen = [each.pattern for each in found if each.pattern]
    if chosen:
        options = " ".join(f"--allow-origin '{pattern}'" for pattern in chosen)
        output.say(
            f"Once the customer says that they are theirs: strongroom workspaces set {workspace} {options}"
        )


async def _look(
    settings: Settings, workspace: str, keys: Collection[str], since: int
) -> tuple[Observed, Workspace, list[OriginVerdict]]:
    """What was seen of the workspace, itself, and the verdicts on its hosts."""
    from workers.stream.recent import read_since  # noqa: PLC0415 - other commands start fast

    async with AsyncExitStack() as opened:
        chains = Chains(await opened.enter_async_context(opening.open_ledger(settings)))
        standing = await chains.workspace(workspace)
        verdicts = [
            each for each in (await chains.verdicts.everything()).values() if each.workspace == workspace
        ]
    seen = Observed(workspace, frozenset(keys))
    began = time.time_ns() // 1_000_000 - since
    topic = settings.topic_prefix + NAME
    async for values in read_since(opening.kafka(settings), topic, began, follow=False):
        seen.add(values)
    if seen.unreadable:
        output.say(f"{seen.unreadable} records of {topic} can't be read by this version")
    return seen, standing, verdicts


def _worst(verdicts: Sequence[OriginVerdict]) -> Mapping[str, VerdictKind]:
    """By host, of all keys."""
    found: dict[str, VerdictKind] = {}
    for kind in reversed(WORST):
        found |= {each.host: kind for each in verdicts if each.kind is kind}
    return found


def _words(workspace: str, since: int, seen: Observed, found: Compared) -> list[str]:
    total = seen.records
    if not total:
        return [f"no host of {workspace} was seen in the last {_hours(since)}"]
    lines = [f"Of {total:,} records of {workspace} that were seen in the last {_hours(since)}:"]
    for became in Became:
        now, then = found.now[became], found.then[became]
        if now or then:
            change = "as now" if now == then else f"{now:,} as it stands"
            lines.append(f"would have been {became}: {then:,} ({change})")
    return lines


def _simulated_json(workspace: str, since: int, seen: Observed, found: Compared) -> dict[str, object]:
    return {
        "workspace": workspace,
        "sinceMs": since,
        "records": seen.records,
        "now": {became.value: found.now[became] for became in Became},
        "then": {became.value: found.then[became] for became in Became},
        "hosts": [dict(zip(HOSTS, row, strict=True)) for row in _rows(found)],
    }


def _rows(found: Compared) -> list[tuple[object, ...]]:
    return [(*row.subject, row.records, row.now, row.then, row.verdict) for row in found.rows]


def _proposed(each: Proposed) -> tuple[object, ...]:
    return (each.pattern, list(each.hosts), each.records, round(each.share, 4), each.why)


def _hours(since: int) -> str:
    return f"{since / HOUR:g} h"
