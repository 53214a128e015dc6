"""`strongroom config` shows what is in force and where it came from."""

import json

import pytest

from workers import __main__ as command
from workers.settings import Settings
from workers.settings_checks import variable


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_value_and_source_of_each_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRONGROOM_GROUP", "archive-eu")
    monkeypatch.setenv("STRONGROOM_KAFKA_SASL_MECHANISM", "PLAIN")
    monkeypatch.setenv("STRONGROOM_KAFKA_SASL_USERNAME", "archive")
    monkeypatch.setenv("STRONGROOM_KAFKA_SASL_PASSWORD", "planted-77aa")
    assert command.run(["config", "--json"]) == 0
    printed = capsys.readouterr().out
    found = {line["variable"]: (line["value"], line["source"]) for line in json.loads(printed)}
    assert found["STRONGROOM_GROUP"] == ("archive-eu", "environment")
    assert found["STRONGROOM_FLUSH_INTERVAL"] == (300.0, "default")
    assert len(found) == len(Settings.model_fields)
    assert "planted" not in printed


def test_bad_settings_end_it_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRONGROOM_FLUSH_BYTES", "none")
    assert command.run(["config"]) == 2
    assert "STRONGROOM_FLUSH_BYTES" in capsys.readouterr().err
