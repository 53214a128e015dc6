"""Commands speak to pipes in lines and JSON, and what customers sent never steers a terminal."""

import json

import pytest

from workers.cli import output


def test_a_pipe_gets_tab_separated_lines_with_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["name", "count"], [("a", 1), ("b", None)])
    assert capsys.readouterr().out == "name\tcount\na\t1\nb\t\n"


def test_json_has_objects_named_by_the_columns(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["name", "count"], [("ä", 1)], as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"name": "ä", "count": 1}]


def test_a_record_is_a_line_a_field_or_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    output.record({"name": "a", "live": True})
    assert capsys.readouterr().out == "name\ta\nlive\tyes\n"
    output.record({"name": "a", "live": True}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"name": "a", "live": True}


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.table(["name"], [("[red]x[/red]",)])
    shown = capsys.readouterr().out
    assert "━" in shown
    assert "[red]x[/red]" in shown  # what customers call things is no markup


@pytest.mark.parametrize("sent", ["\x1b[2Jgone", "two\nlines", "tab\there", "\u202eright to left", "\x07"])
def test_control_characters_are_shown_not_obeyed(sent: str) -> None:
    shown = output.visible(sent)
    assert shown.isprintable()
    assert shown != sent


def test_without_a_terminal_there_is_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("sending", 10) as advance:
        advance(5)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
