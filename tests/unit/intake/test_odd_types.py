"""Records whose fields have other types than the specification's: kept byte for byte, and judged and observed
by what is left of them. A copier can send any type at will: none hides the copy, and none speaks for it.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs import runs_of
from tests.unit.intake.making import (
    NOW,
    Record,
    flat,
    key_record,
    policy_of,
    verdict_record,
    workspace_record,
)
from topics.origin_observations import OriginObservation
from topics.workspaces import OriginPolicy, Source
from workers.intake.facts import Account
from workers.intake.observing import HashKey, Span, observe
from workers.intake.policy import Policy
from workers.intake.samples import Samples
from workers.intake.sort import Sorter, Sorting
from workers.intake.visit import ODD_BYTES_MAX

OWN, COPY, CALLED = "https://shop.example", "https://copy.example", "https://called.example"
HASHED = HashKey(1, b"k" * 32)

absent: Any = object()
odd: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
texts = st.text(max_size=6) | st.sampled_from(
    ["", "half \ud83d", "/p/1", "null", f"{COPY}/p/1", f"{OWN}/p/2"]
)
text = texts | odd | st.integers() | st.none() | st.just(absent)
identity = texts | odd | st.integers(-9, 9) | st.none() | st.just(absent)


def fields(**each: Any) -> dict[str, Any]:
    return {name: value for name, value in each.items() if value is not absent}


@st.composite
def pages(draw: st.DrawFn) -> Any:
    page = fields(url=draw(text), referrer=draw(text), path=draw(text), title=draw(text))
    return draw(st.just(page) | odd | st.none() | st.just(absent))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """An envelope as a collector makes it, whose headers are right and whose event is anything."""
    paged = st.just(fields(page=draw(pages())))
    context = draw(paged | odd | st.none() | st.just(absent))
    return {
        "v": 1,
        "writeKey": "known",
        "receivedAt": "2026-11-26T10:00:00.000Z",
        **fields(
            origin=draw(st.sampled_from([OWN, COPY, CALLED, "null", absent])),
            referer=draw(st.sampled_from([f"{OWN}/", f"{COPY}/", absent])),
            ip=draw(text),
            userAgent=draw(text),
            event=fields(context=context, anonymousId=draw(identity), userId=draw(identity)),
        ),
    }


def without_odd(document: dict[str, Any]) -> dict[str, Any]:
    """The same with what has another type left out; of half a page the rest as well."""

    def string(holder: dict[str, Any], *names: str) -> dict[str, Any]:
        return {name: value for name, value in holder.items() if name not in names or isinstance(value, str)}

    event = document["event"]
    for name in ("anonymousId", "userId"):
        if isinstance(event.get(name), bool | float | list | dict):
            event = {other: value for other, value in event.items() if other != name}
    context = event.get("context")
    page = context.get("page") if isinstance(context, dict) else None
    if isinstance(page, dict):
        whole = all(isinstance(page.get(name), str | None) for name in ("path", "title"))
        kept = {name: value for name, value in page.items() if whole or name not in ("path", "title")}
        event = event | {"context": {"page": string(kept, "url", "referrer", "path", "title")}}
    else:
        event = {name: value for name, value in event.items() if name != "context"}
    return string(document, "ip", "userAgent") | {"event": event}


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def policy() -> Policy:
    account = workspace_record(
        allowed=["shop.example"], sources=[Source(id="site")], origins=OriginPolicy.QUARANTINE
    )
    return policy_of([key_record()], [account], [verdict_record(host="called.example")])


def archived(*values: bytes) -> tuple[Sorting, Samples]:
    sorting, samples = Sorting(), Samples(0)
    records = [Record(value, offset) for offset, value in enumerate(values)]
    Sorter(policy()).sort(runs_of(records), now=NOW, into=sorting, seen=samples)
    return sorting, samples


def observed(*values: bytes) -> dict[str, OriginObservation]:
    known = policy().workspace("acme")
    assert known is not None
    samples = archived(*values)[1]
    span = Span("raw-events", "q", 1, 0, 0, len(values), NOW, NOW)
    rows = list(observe(span, samples.groups, Account(known, "site"), HASHED)) if samples.groups else []
    return {row.host: row for row in rows}


@settings(max_examples=400, deadline=None)
@given(documents())
def test_whatever_an_event_holds_it_is_kept_as_it_came_for_the_reason_of_what_can_be_read(
    document: dict[str, Any],
) -> None:
    value = encoded(document)
    sorting, _ = archived(value)
    assert [lines.ndjson() for lines in sorting.lines.values()] == [value + b"\n"]
    assert flat(sorting.counts) == flat(archived(encoded(without_odd(document)))[0].counts)


@settings(max_examples=400, deadline=None)
@given(documents())
def test_whatever_an_event_holds_what_can_be_read_of_it_is_observed(document: dict[str, Any]) -> None:
    assert observed(encoded(document)) == observed(encoded(without_odd(document)))


def visit(n: int, **page: Any) -> bytes:
    """To page N of a copy that kept the canonical link."""
    page = {"url": f"{OWN}/p/{n}", "path": f"/p/{n}", "title": f"Shoe {n}"} | page
    event = {"anonymousId": f"visitor-{n}", "userId": None, "context": {"page": page}}
    return encoded({"v": 1, "writeKey": "known", "receivedAt": "", "origin": COPY, "event": event})


@pytest.mark.parametrize("referrer", [7, [], {}, True, "half \ud83d"])
def test_a_copy_can_not_hide_its_pages_behind_a_field_of_another_type(referrer: Any) -> None:
    hidden = observed(*(visit(n, referrer=referrer) for n in range(12)))["copy.example"]
    plain = observed(*(visit(n) for n in range(12)))["copy.example"]
    assert hidden == plain
    assert (len(hidden.pages), len(hidden.anonymous_ids), hidden.canonical_shadows) == (12, 12, 12)


@pytest.mark.parametrize("half", [{"title": 7}, {"path": ["/p/1"]}])
def test_half_a_page_is_none_that_the_customer_could_lack(half: dict[str, Any]) -> None:
    seen = observed(*(visit(n, **half) for n in range(12)))["copy.example"]
    assert (seen.records, seen.pages, len(seen.anonymous_ids)) == (12, (), 12)


def test_an_event_that_is_no_object_is_a_dead_letter_and_no_observation() -> None:
    value = encoded({"v": 1, "writeKey": "known", "receivedAt": "", "origin": COPY, "event": [7]})
    assert flat(archived(value)[0].counts) == {"no_envelope": 1}
    assert observed(value) == {}


def test_of_many_odd_records_so_many_are_read_and_no_more() -> None:
    values = [visit(n, referrer=["x" * 2000]) for n in range(100)]
    seen = observed(*values, visit(0))["copy.example"]
    assert seen.records == ODD_BYTES_MAX // len(values[0]) + 1  # the plain one behind them is read
