"""Each cause of a halt has its runbook, which says what it means, what to look at and do, and what stays."""

import re

import pytest

from tests.unit.deploy.manifests import DEPLOY
from workers.ledger.halts import ACKNOWLEDGED, CAUSES

RUNBOOKS = DEPLOY / "runbooks"
PARTS = ("Look", "Do", "On record afterwards")
ACKNOWLEDGE = re.compile(r"strongroom ledger acknowledge [^`]*--cause (\w+) --reason")


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_a_halt_has_its_runbook(cause: str) -> None:
    text = (RUNBOOKS / f"{cause}.md").read_text()
    assert text.startswith(f"# {cause}: ")
    assert f'strongroom_halts_total{{cause="{cause}"}}' in text
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == PARTS
    resolved_by = set(ACKNOWLEDGE.findall(text))
    assert resolved_by == ({cause} if cause in ACKNOWLEDGED else set())


def test_there_is_no_runbook_of_a_cause_that_is_gone() -> None:
    halts = {path.stem for path in RUNBOOKS.glob("*.md") if "strongroom_halts_total" in path.read_text()}
    assert halts == set(CAUSES)
