"""`strongroom keys`: registers, shows, rotates and ends write keys."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from topics.times import iso_ms
from topics.write_keys import KeyState, WriteKey, checked_key, codec
from workers import opening
from workers.by import By
from workers.cli import output, refused_before, roll_call, running
from workers.cli.policy import asked_by, open_policy
from workers.cli.refused_before import RefusedBefore
from workers.errors import Poison
from workers.ledger import policy_commands
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_commands import Books, new_key
from workers.ledger.policy_kinds import WRITE_KEYS
from workers.observe.roll_call import Answers
from workers.settings import Settings

T = TypeVar("T")

UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
COLUMNS = ("key", "workspace", "source", "state", "until", "changed", "reason")


class Duration(click.ParamType):
    """`90s`, `30m`, `12h`, `7d`; becomes ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value), re.ASCII)
        if match is None:
            self.fail(f"{value!r} is no duration: write a number and s, m, h or d, as 7d", param, ctx)
        return int(match[1]) * UNITS_MS[match[2]]


@click.group()
def keys() -> None:
    """Add, show, rotate and revoke write keys."""


@keys.command()
@click.argument("key", required=False)
@click.option("--workspace", required=True, help="The customer's workspace.")
@click.option("--source", required=True, help="Its source that the key is for.")
@click.option("--reason", default="", help="Why; kept in the history.")
@output.json_option
def add(key: str | None, workspace: str, source: str, reason: str, as_json: bool) -> None:
    """Register KEY, or a fresh key, as active.

    Says what was refused of KEY while nobody knew it. What was kept of it is replayed.
    """
    name = new_key() if key is None else key
    added, _ = _change(lambda books, by: policy_commands.add_key(books, name, workspace, source, by), reason)
    before = None if key is None else _refused_before(added)
    if as_json:
        output.print_json(_json(added) | _before_json(before))
    else:
        _show_one(added, as_json)


@keys.command()
@click.argument("key")
@output.json_option
def show(key: str, as_json: bool) -> None:
    """Show what stands of KEY."""
    value = running.run(_read(lambda chain: chain.get(checked_key(key))))
    if value is None:
        raise Poison(
            f"write key {key} is not registered", remedy="`strongroom keys list` shows those that are"
        )
    _show_one(value, as_json)


@keys.command("list")
@click.option("--workspace", help="Only this workspace's.")
@click.option("--state", type=click.Choice([state.value for state in KeyState]), help="Only those.")
@output.json_option
def list_keys(workspace: str | None, state: str | None, as_json: bool) -> None:
    """List write keys."""
    values = running.run(_read(lambda chain: chain.everything())).values()
    _show_many(
        sorted(
            (
                value
                for value in values
                if workspace in (None, value.workspace) and state in (None, value.state)
            ),
            key=lambda value: (value.workspace, value.source, value.key),
        ),
        as_json,
    )


@keys.command()
@click.argument("old")
@click.option("--new", help="The key to rotate to; without it, a fresh one.")
@click.option(
    "--overlap", type=Duration(), default="7d", show_default=True, help="How long OLD goes on working."
)
@click.option("--reason", default="", help="Why; kept in the history.")
@roll_call.wait_option
@output.json_option
def rotate(old: str, new: str | None, overlap: int, reason: str, wait: float | None, as_json: bool) -> int:
    """Make a new key active at once, and let OLD end after an overlap.

    Repeated after it died half-way it goes on with the same new key.
    Says what was refused of the new key while nobody knew it. What was kept of it is replayed.
    """
    rotated, heard = _change(
        lambda books, by: policy_commands.rotate_key(books, old, new, overlap, by),
        reason,
        lambda rotated: [key.key for key in rotated],
        wait,
    )
    before = None if new is None else _refused_before(rotated.new)
    if as_json:
        shown = {part: _json(value) for part, value in rotated._asdict().items()} | _before_json(before)
        output.print_json(shown if heard is None else {**shown, "workers": roll_call.as_json(heard)})
    else:
        _show_many(rotated, as_json)
    return 0 if heard is None else roll_call.told(heard)


@keys.command()
@click.argument("key")
@click.option("--reason", required=True, help="Why; kept for ever.")
@roll_call.wait_option
@output.json_option
def revoke(key: str, reason: str, wait: float | None, as_json: bool) -> int:
    """Stop KEY at once, for ever. Returns when all in-sync replicas have it."""
    return _end(policy_commands.revoke_key, key, reason, wait, as_json)


@keys.command()
@click.argument("key")
@click.option("--reason", required=True, help="Why; kept for ever.")
@roll_call.wait_option
@output.json_option
def abuse(key: str, reason: str, wait: float | None, as_json: bool) -> int:
    """Stop KEY at once, for ever, and keep an eye on what still arrives with it."""
    return _end(policy_commands.abuse_key, key, reason, wait, as_json)


def _end(
    command: Callable[[Books, str, By], Awaitable[WriteKey]],
    key: str,
    reason: str,
    wait: float | None,
    as_json: bool,
) -> int:
    """Ends `key` for ever, shows it, and waits for the workers if that is asked for; the exit code."""
    ended, heard = _change(lambda books, by: command(books, key, by), reason, lambda _: (key,), wait)
    if as_json and heard is not None:
        output.print_json({**_json(ended), "workers": roll_call.as_json(heard)})
    else:
        _show_one(ended, as_json)
    return 0 if heard is None else roll_call.told(heard)


def _change(
    command: Callable[[Books, By], Awaitable[T]],
    reason: str,
    keys: Callable[[T], Iterable[str]] = lambda _: (),
    wait: float | None = None,
) -> tuple[T, Answers | None]:
    """What the command returns, and what the workers say of these keys where `wait` (seconds) is given."""
    settings = Settings.load()

    async def run() -> tuple[T, Answers | None]:
        async with open_policy(settings) as books:
            done = await command(books, asked_by(settings, reason))
        if wait is None:
            return done, None
        placed = roll_call.places(books.keys.placed, keys(done))
        return done, await roll_call.applied_by_all(settings, placed, wait)

    return running.run(run())


def _refused_before(registered: WriteKey) -> RefusedBefore | str:
    """Of a key that somebody chose: it may have been in use already."""
    before = running.run(refused_before.look(Settings.load(), registered.key))
    refused_before.tell(registered, before)
    return before


def _before_json(before: RefusedBefore | str | None) -> dict[str, Any]:
    return {"refusedBefore": before.as_json()} if isinstance(before, RefusedBefore) and before.records else {}


async def _read(read: Callable[[PolicyChain[WriteKey]], Awaitable[T]]) -> T:
    async with opening.open_ledger(Settings.load()) as store:
        return await read(PolicyChain(store, WRITE_KEYS, retry=running.patient()))


def _show_one(value: WriteKey, as_json: bool) -> None:
    output.record(_json(value) if as_json else dict(zip(COLUMNS, _row(value), strict=True)), as_json=as_json)


def _show_many(values: Iterable[WriteKey], as_json: bool) -> None:
    if as_json:
        output.print_json([_json(value) for value in values])
    else:
        output.table(COLUMNS, [_row(value) for value in values], title="Write keys")


def _json(value: WriteKey) -> dict[str, Any]:
    return msgspec.json.decode(codec.encode(value), type=dict[str, Any])


def _row(value: WriteKey) -> Sequence[object]:
    until = "" if value.until is None else iso_ms(value.until)
    changed = iso_ms(value.changed_at)
    return (value.key, value.workspace, value.source, value.state, until, changed, value.reason)
