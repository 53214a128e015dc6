"""`strongroom demo`, as `make run` calls it: the whole job on servers of its own, and nothing left behind."""

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.system.fleet import COMMAND, Fleet
from tests.system.traffic import envelope

pytestmark = pytest.mark.system

POLICY = Path(__file__).parents[2] / "workers" / "sample" / "policy.json"
KEY = "demo-file-key-0001"


def demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """In a temporary folder of its own, so that what it leaves behind is seen."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("STRONGROOM_", "AWS_"))
    }
    return subprocess.run(
        [COMMAND, "demo", *arguments],
        env={**clean, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def tables(printed: str) -> list[list[list[str]]]:
    """The plain output's tables: blocks of tab-separated lines."""
    return [
        [line.split("\t") for line in block.splitlines() if "\t" in line]
        for block in re.split(r"\n\s*\n", printed)
        if "\t" in block
    ]


def test_the_sample_twice_as_planned(tmp_path: Path) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for dispositions in json.loads(POLICY.read_text())["expected"].values():
        for disposition, reasons in dispositions.items():
            for reason, count in reasons.items():
                expected[disposition, reason] += count
    for _ in range(2):
        done = demo(tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        sealed, became, facts = tables(done.stdout)
        found = {(disposition, reason): int(count) for disposition, reason, count in became[1:]}
        assert sum(found.values()) == sum(expected.values())
        assert found == expected
        said = dict(facts)
        assert said["verify"] == "clean"
        assert said["as planned"] == "yes"
        stored = sum(count for (disposition, _), count in expected.items() if disposition != "rejected")
        assert int(sealed[-1][2]) == stored
        assert not list(tmp_path.glob("strongroom*")), "a folder was left behind"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(envelope(KEY, f"m{n}") for n in range(50)) + b"\n{broken\n")
    done = demo(tmp_path, str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    became = {(row[0], row[1]): int(row[2]) for row in tables(done.stdout)[1][1:]}
    assert sum(became.values()) == 51
    assert became["dead-lettered", "not_json"] == 1


def test_send_takes_files_and_bare_calls(fleet: Fleet, tmp_path: Path) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "web:browser")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "web")
    envelopes = tmp_path / "envelopes.ndjson"
    envelopes.write_bytes(b"".join(envelope(KEY, f"e{n}") + b"\n" for n in range(30)))
    calls = "".join(
        json.dumps({"type": "track", "event": "X", "messageId": f"c{n}"}) + "\n" for n in range(20)
    )
    fleet.run("send", str(envelopes))
    fleet.run("send", "--write-key", KEY, "--origin", "https://shop.example", "-", stdin=calls.encode())
    worker = fleet.worker().wait_ready()

    def archived() -> list[str]:
        lines = fleet.run("read", "--workspace", "acme", "--unwrap").stdout.splitlines()
        return sorted(json.loads(line)["messageId"] for line in lines)

    expected = sorted([f"e{n}" for n in range(30)] + [f"c{n}" for n in range(20)])
    for _ in range(30):
        if archived() == expected:
            break
    assert worker.stop() == 0
    assert archived() == expected
