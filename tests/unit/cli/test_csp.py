"""`strongroom csp`: what it prints, and its exit codes."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from workers.__main__ import run
from workers.csp.sources import hash_source

HOSTS = "https://cdn.segment.com https://api.segment.io"


def test_the_sources_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["csp"]) == 0
    told = capsys.readouterr()
    assert told.out == f"script-src https://cdn.segment.com;\nconnect-src {HOSTS};\n"
    assert "nonce" in told.err


def test_own_hosts_come_from_settings_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGROOM_SNIPPET_CDN", "cdn.acme.example")
    monkeypatch.setenv("STRONGROOM_SNIPPET_COLLECTORS", "a.acme.example, b.acme.example")
    assert (
        run(["csp", "--json", "--collector", "c.acme.example", "--redirect", "c.acme.example=d.example"]) == 0
    )
    assert json.loads(capsys.readouterr().out) == {
        "script-src": ["https://cdn.acme.example"],
        "connect-src": ["https://cdn.acme.example", "https://c.acme.example", "https://d.example"],
    }
    assert run(["csp", "--json"]) == 0
    assert "https://b.acme.example" in json.loads(capsys.readouterr().out)["connect-src"]


def test_the_hash_of_the_snippet_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n!function(){analytics.load('k')}();\n"
    for file in (text, f"<script>{text}</script>"):
        (tmp_path / "snippet").write_text(file)
        assert run(["csp", "--snippet", str(tmp_path / "snippet")]) == 0
        assert hash_source(text) in capsys.readouterr().out
    (tmp_path / "snippet").write_text("<p>no snippet</p>")
    assert run(["csp", "--snippet", str(tmp_path / "snippet")]) == 2
    assert "no inline script" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([f"default-src 'unsafe-inline' {HOSTS}"], 0),
        (["default-src 'self'"], 1),
        (["--report-only", "default-src 'self'"], 0),
        (["img-src 'self'"], 0),
        (
            [
                "connect-src 'self'",
                "--page",
                "https://a.example/",
                "--cdn",
                "a.example",
                "--collector",
                "a.example",
            ],
            0,
        ),
        (["connect-src 'self'", "--cdn", "a.example", "--collector", "a.example"], 1),
        (["script-src 'nonce-a' 'strict-dynamic'"], 0),
        (["connect-src https://api.segment.io https://cdn.segment.com/v1/projects/k1/"], 1),
        (
            [
                "connect-src https://api.segment.io https://cdn.segment.com/v1/projects/k1/",
                "--write-key",
                "k1",
            ],
            0,
        ),
    ],
)
def test_the_exit_code_says_whether_something_is_blocked(arguments: list[str], code: int) -> None:
    assert run(["csp", "check", *arguments]) == code


def test_report_only_is_said_to_report(capsys: pytest.CaptureFixture[str]) -> None:
    run(["csp", "check", "--report-only", "default-src 'self'"])
    told = capsys.readouterr().out
    assert "would report" in told
    assert "would block" not in told


def test_a_saved_response_is_read_from_a_file_or_stdin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = (
        b"HTTP/2 200\r\n"
        b"content-security-policy: script-src 'nonce-a' 'strict-dynamic'; connect-src 'self'\r\n\r\n"
        b"<html><head><script nonce=b>analytics.load('k')</script>\xff</head></html>"
    )
    (tmp_path / "saved").write_bytes(saved)
    assert run(["csp", "check", "--json", "--file", str(tmp_path / "saved")]) == 1
    told = json.loads(capsys.readouterr().out)
    (policy,) = told["policies"]
    assert policy["needs"][0]["verdict"] == "would block"
    assert policy["changed_policy"] == f"script-src 'nonce-a' 'strict-dynamic'; connect-src 'self' {HOSTS}"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(saved)))
    assert run(["csp", "check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == told


def test_the_write_key_of_paths_is_the_snippets(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<script nonce=a>analytics.load('k1')</script>")
    policy = "connect-src https://api.segment.io https://cdn.segment.com/v1/projects/k1/settings"
    assert run(["csp", "check", policy, "--snippet", str(tmp_path / "page")]) == 0


def test_no_policy_blocks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page").write_text("<html><p>nothing</p></html>")
    assert run(["csp", "check", "--file", str(tmp_path / "page")]) == 0
    assert "no policy" in capsys.readouterr().err


def test_a_policy_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run(["csp", "check", "connect-src 'none' a\x1b[2Jb; \x1b[2J x"])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["csp", "--cdn", "a.example", "check", "img-src a"],
        ["csp", "--redirect", "a.example"],
        ["csp", "--cdn", "a b"],
        ["csp", "check", "img-src a", "--collector", "ftp://a.example"],
        ["csp", "check", "img-src a", "--page", "a.example"],
        ["csp", "check", "--file", __file__, "img-src a"],
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    assert run(arguments) == 2
