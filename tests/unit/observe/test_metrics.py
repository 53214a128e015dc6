"""Metrics are declared once, and take nothing that was not declared."""

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from workers.intake.rules import REASONS
from workers.observe import metrics

ROOT = Path(__file__).parents[3]


def test_an_undeclared_metric_raises() -> None:
    with pytest.raises(AttributeError):
        metrics.RECORDS_EATEN  # type: ignore[attr-defined]  # noqa: B018 - the point of it


@pytest.mark.parametrize(
    "labels",
    [{"disposition": "accepted", "reason": "wk_live_1f9a"}, {"disposition": "eaten", "reason": "accepted"}],
)
def test_an_undeclared_value_of_a_label_raises(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no declared value"):
        metrics.RECORDS.labels(**labels)


def test_every_reason_of_the_rules_is_declared() -> None:
    for reason, (disposition, _) in REASONS.items():
        metrics.RECORDS.labels(disposition=disposition, reason=reason).inc(0)


def test_everything_that_is_exported_is_declared() -> None:
    exported = set(re.findall(r"^# TYPE (strongroom_\w+) ", generate_latest(metrics.REGISTRY).decode(), re.M))
    declared = {each.name for each in metrics.DECLARED}
    made_beside = {
        name for name in exported if name.endswith("_created")
    }  # by prometheus_client, for counters
    assert exported - made_beside == declared


def test_names_follow_the_habits_of_prometheus() -> None:
    for each in metrics.DECLARED:
        assert re.fullmatch(r"strongroom_[a-z_]+", each.name)
        assert each.name.endswith("_total") == (each.kind == "counter"), each.name
        if each.unit in ("seconds", "bytes"):
            assert each.unit in each.name


def test_no_metric_is_declared_and_never_measured() -> None:
    code = "\n".join(
        path.read_text() for path in (ROOT / "workers").rglob("*.py") if path.name != "metrics.py"
    )
    names = re.findall(
        r"^([A-Z_]+) = (?:counter|gauge|histogram)", (ROOT / "workers/observe/metrics.py").read_text(), re.M
    )
    assert len(names) == len(metrics.DECLARED)
    for name in names:
        assert re.search(rf"metrics\.{name}\b", code), f"nothing measures {name}"
