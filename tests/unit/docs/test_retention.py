"""docs/retention.md, which customers are sent, says what the program does: its figures are the program's."""

from pathlib import Path

import pytest

from workers.intake import kept
from workers.ledger.workspace_terms import GRACE_MS
from workers.retention.due import SETTLE
from workers.retention.plan import Limits
from workers.settings import Settings

PAGE = " ".join((Path(__file__).parents[3] / "docs" / "retention.md").read_text().split())
HOUR = 3_600_000  # ms
SETTING = {name: field.default for name, field in Settings.model_fields.items()}


@pytest.mark.parametrize(
    "promise",
    [
        f"| quarantined records | {kept.QUARANTINE_DAYS} days, or the retention where that is shorter |",
        f"| records that nobody claims (their write key is not known) | {kept.UNCLAIMED_DAYS} days |",
        f"| records that can't be read | {kept.DEAD_LETTER_DAYS} days |",
        f"A shorter retention takes effect after {GRACE_MS // HOUR} hours**",
        f"after {GRACE_MS // HOUR} hours all its units are due",
        f"For {SETTING['destroy_after'] / 3600:.0f} hours (`STRONGROOM_DESTROY_AFTER`)",
        f"more than {SETTING['retain_brake_workspace']:.0%} of a workspace's bytes, "
        f"or {SETTING['retain_brake_fleet']:.0%} of the fleet's",
    ],
)
def test_a_promise_is_the_programs(promise: str) -> None:
    assert promise in PAGE


def test_an_hour_after_a_unit_is_past_its_retention_it_is_due() -> None:
    assert SETTLE == HOUR
    assert "From an hour after a unit is past its retention it is due." in PAGE


def test_the_plans_own_limits_are_the_settings() -> None:
    ours = (SETTING["retain_brake_workspace"], SETTING["retain_brake_fleet"], SETTING["retain_brake_least"])
    assert Limits() == ours
