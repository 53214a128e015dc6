"""Evidence in sentences: each kind that the judge gives has words, and what is no sign is not called one."""

import pytest

from tests.unit.intake.making import NOW
from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy
from workers.origins.judge_state import HostState, KeyState
from workers.origins.weighing import Rules, weigh
from workers.origins.words import NAMES, evidence_words, verdict_words


def test_every_figure_that_the_judge_gives_has_words() -> None:
    figures = weigh(
        KeyState("acme", "site"), "copy.example", HostState(first_at=NOW, last_at=NOW), 0, Rules()
    ).figures
    assert figures.keys() | {"pages_told", "pages_found", "content_match"} == NAMES


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        ({}, []),
        ({"pages_told": 0.0}, ["none of its pages could be compared with the customer's"]),
        ({"canonical_shadow": 0.2, "largest_network": 0.49, "volume": 0.9, "lookalike": 0.0}, []),
        ({"largest_network": 0.5}, ["50 % of its traffic comes from one network"]),
        (
            {"visitors": 40.0, "known_visitors": 3.0},
            ["3 of its 40 visitors were on the customer's own site too, which speaks for it"],
        ),
        ({"known_users": 2.0}, ["2 of the customer's own users were signed in there, which speaks for it"]),
        ({"lookalike": 1.0}, ["its name looks like one of the customer's"]),
        ({"moon_phase": 0.25}, ["moon_phase: 0.25"]),  # of a newer judge
    ],
)
def test_words(evidence: dict[str, float], words: list[str]) -> None:
    assert evidence_words(evidence) == words


def test_a_copy_means_what_the_workspace_chose() -> None:
    assert "quarantined" in verdict_words(VerdictKind.COPY, OriginPolicy.QUARANTINE)
    assert "flagged" in verdict_words(VerdictKind.COPY, OriginPolicy.FLAG)
    assert "rejected" in verdict_words(VerdictKind.HOSTILE, OriginPolicy.FLAG)
