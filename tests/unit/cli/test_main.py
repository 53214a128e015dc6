"""The `strongroom` command: what it knows, how it fails, what it costs to start."""

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from workers import __main__ as command
from workers.errors import Fatal, Poison, Retryable, StrongroomError
from workers.settings import BadSettings


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
    """Runs a command that raises; returns the exit code."""

    def run(error: BaseException) -> int:
        @click.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(command.Commands, "get_command", lambda self, ctx, name: fail)
        return command.run(["fail"])

    return run


@pytest.mark.parametrize("name", command.COMMANDS)
def test_every_command_is_there_and_is_what_the_overview_says(name: str) -> None:
    found = command.strongroom.get_command(click.Context(command.strongroom), name)
    assert found is not None
    assert found.help, name


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StrongroomError("m"), 1),
        (Fatal("m"), 1),
        (Poison("m"), 1),
        (BadSettings("m"), 2),
        (Retryable("m"), 3),
        (click.UsageError("m"), 2),
        (KeyboardInterrupt(), 130),
        (ExceptionGroup("tasks", [ExceptionGroup("inner", [Retryable("m")])]), 3),
    ],
)
def test_exit_codes(failing: Callable[[BaseException], int], error: BaseException, code: int) -> None:
    assert failing(error) == code


def test_an_error_says_what_and_what_to_do_on_stderr(
    failing: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(Fatal("the roof leaks", remedy="Call a roofer"))
    said = capsys.readouterr()
    assert said.err == "error: the roof leaks\nCall a roofer\n"
    assert said.out == ""


def test_a_fault_of_ours_keeps_its_traceback(failing: Callable[[BaseException], int]) -> None:
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())
    with pytest.raises(ExceptionGroup):
        failing(ExceptionGroup("tasks", [Fatal("m"), ZeroDivisionError()]))


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(["demolish"]) == 2
    assert "demolish" in capsys.readouterr().err


def test_the_exit_code_is_what_the_command_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    found = click.Command("find", callback=lambda: 1)
    monkeypatch.setattr(command.Commands, "get_command", lambda self, ctx, name: found)
    assert command.run(["find"]) == 1


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from workers.__main__ import run; run(['--help']);"
        "print([m for m in ('faust', 'aiokafka', 'botocore', 'pydantic', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import click, workers.__main__ as m;"
        "talk = lambda: [print('line') for _ in range(99999)];"
        "m.Commands.get_command = lambda *a: click.Command('x', callback=talk);"
        "raise SystemExit(m.run(['x']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", command.BROKEN_PIPE)
