"""The dry run: it counts each offset once, and agrees with what intake does of the same host."""

from collections import Counter
from itertools import product

import pytest

from tests.unit.intake.making import (
    Record,
    envelope,
    key_record,
    policy_of,
    sort_all,
    verdict_record,
    workspace_record,
)
from tests.unit.origins.observing import observation, observed
from topics import workspaces
from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Workspace
from workers.origins.counterfactual import Became, Terms, compare
from workers.origins.seen import Subject

COPY, BENIGN, HOSTILE = VerdictKind.COPY, VerdictKind.BENIGN, VerdictKind.HOSTILE


def account(*allowed: str, origins: OriginPolicy = OriginPolicy.FLAG) -> Workspace:
    return workspaces.codec.decode(workspace_record(allowed=allowed, origins=origins))


def test_each_offset_counts_once_whatever_is_sent_again_and_of_this_workspace_alone() -> None:
    one = observation("copy.example", 7, start=0)
    more = observation("copy.example", 3, start=5_000_000)
    seen = observed(
        one, one, more, observation("copy.example", 9, workspace="zoo"), observation("b.example", 2, key="k2")
    )
    seen.add([b"garbage"])
    assert (seen.records, seen.unreadable) == (12, 1)
    assert observed(one, observation("b.example", 2, key="k2"), keys=frozenset({"k1"})).records == 7


@pytest.mark.parametrize(
    ("host", "verdict", "origins", "allowed"),
    list(
        product(
            ["copy.example", "www.good.com", "10.0.0.7"],
            [None, *VerdictKind],
            OriginPolicy,
            [(), ("[*.]good.com",)],
        )
    ),
)
def test_it_says_what_intake_does(
    host: str, verdict: VerdictKind | None, origins: OriginPolicy, allowed: tuple[str, ...]
) -> None:
    said = [] if verdict is None else [verdict_record(verdict, host)]
    policy = policy_of([key_record()], [workspace_record(allowed=allowed, origins=origins)], said)
    sorted_ = sort_all(policy, [Record(envelope(origin=f"https://{host}", page={"url": f"https://{host}/"}))])
    terms = Terms(account(*allowed, origins=origins), {} if verdict is None else {("known", host): verdict})
    became = terms.becomes(Subject("site", "known", host))
    assert [became.value] == [disposition.value for disposition in sorted_.counts]


def test_a_proposal_is_held_against_what_stands() -> None:
    seen = observed(
        observation("www.shop.example", 900),
        observation("copy.example", 60),
        observation("copy.example", 30, key="k2"),
        observation("new.example", 8),
        observation("web-archive.translate.goog", 2),
    )
    verdicts = {("k1", "copy.example"): COPY, ("k2", "copy.example"): COPY}
    now = Terms(account("[*.]shop.example"), verdicts)
    quarantine = Terms(account("[*.]shop.example", origins=OriginPolicy.QUARANTINE), verdicts)
    found = compare(seen, now, quarantine)
    assert found.now == Counter({Became.ACCEPTED: 900, Became.FLAGGED: 98, Became.REHOSTED: 2})
    assert found.then[Became.QUARANTINED] == 90
    assert [(row.subject.key, row.records, row.now, row.then) for row in found.rows] == [
        ("k1", 60, Became.FLAGGED, Became.QUARANTINED),
        ("k2", 30, Became.FLAGGED, Became.QUARANTINED),
    ]
    listed = compare(seen, now, Terms(account("[*.]shop.example", "new.example"), verdicts))
    assert [(row.subject.host, row.then) for row in listed.rows] == [("new.example", Became.ACCEPTED)]
    assert compare(seen, now, now).rows == ()
