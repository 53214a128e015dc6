"""The `strongroom` command: finds the command asked for, turns its outcome into words and an exit code."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import click

from workers.errors import StrongroomError

# name → (module, what it does). A module holds a click command of the same name, and is imported when it is
# called: boto, Faust and friends take longer to import than most commands take to run.
COMMANDS: dict[str, tuple[str, str]] = {
    "config": ("workers.cli.config", "Print every setting, its value and where it came from."),
    "context": ("workers.cli.context", "Print what Amazon's clients must be given to open an object."),
    "csp": ("workers.cli.csp", "Print and check what a page's policy must allow."),
    "demo": (
        "workers.cli.demo",
        "Archive sample events on an embedded Kafka and S3, and show it.",
    ),
    "doctor": ("workers.cli.doctor", "Check everything a worker needs, and say what is wrong."),
    "keys": ("workers.cli.keys", "Add, show, rotate and revoke write keys."),
    "keyservice": (
        "workers.cli.keyservice",
        "Unwrap data keys for customers who read their own objects.",
    ),
    "keystore": ("workers.cli.keystore", "Show, rotate and shred the keys that seal the archive."),
    "ledger": ("workers.cli.ledger", "Show what the ledger says, and put losses on record."),
    "manifest": ("workers.cli.manifest", "List archived objects with what opens them, as JSON lines."),
    "origins": ("workers.cli.origins", "Show hosts that send with customers' keys; approve or block them."),
    "orphans": ("workers.cli.orphans", "List and sweep objects that crashes left behind."),
    "policy": ("workers.cli.policy", "Spread policy to Kafka, and show which workers have applied it."),
    "read": ("workers.cli.read", "Print archived records, decrypted, through the ledger."),
    "readers": ("workers.cli.readers", "Add, list and revoke readers of the key service."),
    "rejections": ("workers.cli.rejections", "Show what is being refused: whose, why, from which hosts."),
    "retention": ("workers.cli.retention", "Set how long records are kept, and hold what must not go."),
    "send": ("workers.cli.send", "Send events to raw-events."),
    "topics": ("workers.cli.topics", "Create and check the Kafka topics."),
    "unclaimed": ("workers.cli.unclaimed", "Show the records that wait for their write key."),
    "up": ("workers.cli.up", "Run an embedded Kafka, S3, archive worker, judge and steward until Ctrl-C."),
    "verify": ("workers.cli.verify", "Prove from the bucket alone that nothing is missing or changed."),
    "worker": ("workers.cli.worker", "Run a role of the fleet."),
    "workspaces": ("workers.cli.workspaces", "Set and show customers' workspaces."),
}
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
BROKEN_PIPE = 141  # 128 + SIGPIPE: `strongroom read | head`


class _ReaderGone(Exception):
    """Nobody reads our output any more."""


class Commands(click.Group):
    """Imports a command when it is called, and knows the others by COMMANDS alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command), cmd_name  # noqa: S101  # a fault of ours, not of the caller's
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click's own answer to it is exit code 1, and that says "a finding" here
            raise _ReaderGone from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in COMMANDS.items()])


@click.command(cls=Commands)
@click.version_option(version("strongroom"), prog_name="strongroom")
def strongroom() -> None:
    """Sealed, exactly-once archiving of customer events from Kafka to S3.

    Settings are STRONGROOM_* environment variables: see `strongroom config`.
    Exit codes: 0 well, 1 a finding, 2 usage, 3 a dependency is down.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. Commands return theirs, None meaning 0."""
    try:
        outcome = strongroom.main(args=arguments, prog_name="strongroom", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except (_ReaderGone, BrokenPipeError):
        # Python flushes stdout once more at exit: give it somewhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except StrongroomError as error:
        return complain(error)
    except BaseExceptionGroup as group:
        if (known := first_known(group)) is None:
            raise
        return complain(known)
    return outcome if isinstance(outcome, int) else 0


def complain(error: StrongroomError) -> int:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True)
    if error.remedy:
        click.echo(error.remedy, err=True)
    return error.exit_code


def first_known(group: BaseExceptionGroup[BaseException]) -> StrongroomError | None:
    """A task group wraps what its tasks raised: the first error that a person can act on, if all are such."""
    if group.split(StrongroomError)[1] is not None:
        return None
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner if isinstance(inner, StrongroomError) else None


def main() -> NoReturn:
    sys.exit(run())


if __name__ == "__main__":
    main()
