"""`strongroom demo` and `up`: the whole job on servers of their own, and nothing left behind."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.fleet import COMMAND, Fleet, wait_until
from tests.system.traffic import envelope

pytestmark = pytest.mark.system

POLICY = Path(__file__).parents[2] / "workers" / "sample" / "policy.json"
KEY = "demo-file-key-0001"


def clean(folder: Path) -> dict[str, str]:
    """An environment without settings, with a temporary folder in which leftovers are seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STRONGROOM_", "AWS_"))}
    return {**kept, "TMPDIR": str(folder)}


def demo(folder: Path, *arguments: str) -> str:
    """What it prints; asserts that it ends well and leaves no folder and no server behind."""
    done = subprocess.run(
        [COMMAND, "demo", *arguments],
        env=clean(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the worker ended with exit code 0" in done.stdout
    assert_gone(folder, done.stdout)
    return done.stdout


def assert_gone(folder: Path, printed: str) -> None:
    assert not list(folder.glob("strongroom*")), "a folder was left behind"
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", printed)}
    assert len(ports) >= 2, printed
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"something still listens on {port}"


def tables(printed: str) -> list[list[list[str]]]:
    """The plain output's tables: blocks of tab-separated lines."""
    return [
        [line.split("\t") for line in block.splitlines() if "\t" in line]
        for block in re.split(r"\n\s*\n", printed)
        if "\t" in block
    ]


def test_the_sample_twice_as_planned(tmp_path: Path) -> None:
    decided: Counter[tuple[str, str]] = Counter()
    stored: Counter[tuple[str, str]] = Counter()
    for workspace, dispositions in json.loads(POLICY.read_text())["expected"].items():
        for disposition, reasons in dispositions.items():
            for reason, count in reasons.items():
                decided[disposition, reason] += count
                if disposition != "rejected":
                    stored[workspace, disposition] += count
    for _ in range(2):
        sealed, became, facts = tables(demo(tmp_path))
        assert {(row[0], row[1]): int(row[2]) for row in became[1:]} == decided
        assert {(row[0], row[1]): int(row[2]) for row in sealed[1:-1]} == stored
        assert (sealed[-1][0], int(sealed[-1][2])) == ("all", stored.total())
        said = dict(facts)
        assert (said["verify"], said["as planned"]) == ("clean", "yes")
        assert said["records"].startswith(f"{decided.total()}, ")
        assert said["a record, read back"].startswith('{"')


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    call = b'{"type":"page","title":"half \\ud83d"}'
    file.write_bytes(b"\n".join([*(envelope(KEY, f"m{n}") for n in range(50)), call, b"{broken", b""]))
    sealed, became, facts = tables(demo(tmp_path, str(file)))
    assert {row[0]: int(row[2]) for row in became[1:]} == {"accepted": 51, "dead-lettered": 1}
    assert [row[:3] for row in sealed[1:]] == [
        ["_platform", "dead-lettered", "1"],
        ["demo", "accepted", "51"],
        ["all", "", "52"],
    ]
    assert dict(facts)["verify"] == "clean"


@contextmanager
def up(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The running command, and what it printed once it was ready."""
    process = subprocess.Popen(
        [COMMAND, "up"], env=clean(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        printed = ""
        while "Ctrl-C ends it all." not in printed:
            line = process.stdout.readline()
            assert line, f"it ended early:\n{printed}"
            printed += line
        yield process, printed
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_up_takes_what_is_sent_to_it_until_ctrl_c(tmp_path: Path) -> None:
    with up(tmp_path) as (process, printed):
        exports = dict(
            shlex.split(line)[1].split("=", 1) for line in printed.splitlines() if line.startswith("export ")
        )

        def run(*arguments: str, stdin: str = "") -> str:
            done = subprocess.run(
                [COMMAND, *arguments],
                env={**clean(tmp_path), **exports},
                input=stdin,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        def judged() -> int:
            """Observations that the judge has folded."""
            (at,) = re.findall(r"^judge +(\S+/metrics),", printed, re.MULTILINE)
            with urllib.request.urlopen(at, timeout=5) as answer:
                metrics = answer.read().decode()
            folded = re.findall(
                r'^strongroom_judge_observations_total{outcome="folded"} (\S+)', metrics, re.M
            )
            return int(float(folded[0])) if folded else 0

        run("workspaces", "set", "shop", "--source", "web:browser", "--allow-origin", "shop.example")
        run("keys", "add", KEY, "--workspace", "shop", "--source", "web")
        call = '{"type":"track","event":"Hello","messageId":"m-1","userId":"u-1"}\n'
        sent = run("send", "--write-key", KEY, "--origin", "https://shop.example", "-", stdin=call)
        assert "wrapped\t1\n" in sent
        wait_until(lambda: run("read", "--workspace", "shop", "--unwrap") == call, 30, lambda: printed)
        wait_until(lambda: judged() == 1, 60, lambda: printed)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert_gone(tmp_path, printed)


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
