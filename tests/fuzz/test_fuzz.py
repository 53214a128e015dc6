"""The fuzz target passes its seeds, and both ways to drive it find a check that was taken out."""

import subprocess
import sys

import pytest

from tests.fuzz.byte_strings import tried
from tests.fuzz.headers import default_engine
from tests.fuzz.target import seeds, try_one
from tests.fuzz.weakened import weakened

DEFECT = "rows.decode: except (msgspec.MsgspecError, UnicodeDecodeError)"  # no seed meets it


def fuzzed(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.fuzz.headers", "--seconds", "2", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_vectors_are_seeds_and_pass() -> None:
    inputs = list(seeds())
    assert len(inputs) > 170
    for data in inputs:
        try_one(data)


def test_byte_strings_find_nothing() -> None:
    assert tried(1) > 0


@pytest.mark.parametrize(
    "defect",
    [
        "format._decode: except (binascii.Error, ValueError)",
        "keys.generation_in: len(blob) != BLOB_BYTES",
        DEFECT,
    ],
)
def test_byte_strings_find_a_missing_check(defect: str) -> None:
    found: BaseException | None = None
    try:
        with weakened(defect):
            tried(1)
    except Exception as error:  # whatever comes of it, or a group where it comes in several ways
        found = error
    assert found is not None


def test_the_command_finds_nothing_and_says_how_it_looked() -> None:
    done = fuzzed()
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"engine {default_engine()}" in done.stdout


def test_the_command_finds_a_missing_check() -> None:
    done = fuzzed("--without", DEFECT)
    assert done.returncode != 0
    assert "in decode" in done.stderr + done.stdout  # where its traceback ends
