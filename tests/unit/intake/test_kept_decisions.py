"""A decision that was kept is the one that would be made anew, whichever page a key sent first."""

import itertools
from collections.abc import Sequence

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import (
    NOW,
    Record,
    envelope,
    key_record,
    policy_of,
    reason_of,
    verdict_record,
    workspace_record,
)
from topics.workspaces import OriginPolicy, Source, SourceType
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, Sorting

# as an Origin header, or None; as context.page.url, or None
ORIGINS = (
    "https://shop.example",
    "https://copy.example",
    "https://other.example",
    "http://shop.example",
    "null",
    "",
    None,
)
URLS = (
    "https://shop.example/",
    "https://shop.example/p/1",
    "https://shop.example/\u00e9",
    "https://shop.example.evil/p/1",
    "https://shop.example-evil/p/1",
    "https://shop.example0/p/1",
    "https://shop.example",
    "https://copy.example/p/1",
    "https://copy.example:8443/p/1",
    "https:///shop.example/",
    "shop.example/p",
    "",
    None,
)
PAGES = list(itertools.product(ORIGINS, URLS))


def value_of(page: tuple[str | None, str | None]) -> bytes:
    origin, url = page
    headers = {} if origin is None else {"origin": origin}
    return envelope(page=None if url is None else {"url": url}, **headers)


def known() -> Policy:
    source = Source(id="site", type=SourceType.BROWSER)
    account = workspace_record(allowed=("shop.example",), sources=[source], origins=OriginPolicy.QUARANTINE)
    return policy_of([key_record()], [account], [verdict_record()])


def reasons_of(sorter: Sorter, pages: Sequence[tuple[str | None, str | None]]) -> list[str]:
    """What each is sorted as, by a sorter that remembers those before it."""
    found: list[str] = []
    for page in pages:
        into = Sorting()
        sorter.sort(runs_of([Record(value_of(page))]), now=NOW, into=into)
        (reasons,) = into.counts.values()
        found.extend(reasons)
    return found


@pytest.mark.parametrize("first", PAGES[: len(PAGES) - 1 : 3], ids=str)
def test_whichever_page_came_first(first: tuple[str | None, str | None]) -> None:
    policy = known()
    anew = {page: reason_of(policy, value_of(page)) for page in PAGES}
    assert len(set(anew.values())) > 3
    sorter = Sorter(policy)
    reasons_of(sorter, [first])
    for _ in range(2):  # the second time each is kept
        assert reasons_of(sorter, PAGES) == [anew[page] for page in PAGES]
