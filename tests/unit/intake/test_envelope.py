"""What is an envelope: what the hot path takes is JSON to any reader, and nothing good is turned away."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.intake.making import Record, envelope, flat, policy_of, sort_all
from workers.intake import envelope as envelopes
from workers.intake.envelope import UNREADABLE, Envelope, Page, Unreadable
from workers.intake.sort import SortLimits

NOBODY = policy_of()


def verdict(value: bytes | None) -> str:
    """The reason the whole path gives; `unknown_key` is what a good envelope gets from an empty policy."""
    (reason,) = flat(sort_all(NOBODY, [Record(value)]).counts)
    return reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" ", "not_json"),
        (b"\xff", "not_json"),
        (b"\xef\xbb\xbf" + envelope(), "not_json"),  # a byte order mark is no part of JSON (RFC 8259, 8.1)
        (envelope().decode().encode("utf-16"), "not_json"),
        (envelope()[:-1], "not_json"),
        (envelope() + b"}", "not_json"),
        (envelope() + envelope(), "not_json"),
        (b"null", "no_envelope"),
        (b"[]", "no_envelope"),
        (b"{}", "no_envelope"),
        (b'"a string"', "no_envelope"),
        (b'{"type":"page"}', "no_envelope"),
        (envelope(v=2), "unknown_version"),
        (envelope(v=0), "unknown_version"),
        (b'{"v":2}', "unknown_version"),  # what else a later version holds is not ours to judge
        (envelope(v="1"), "no_envelope"),
        (envelope(v=1.0), "no_envelope"),
        (envelope(v=True), "no_envelope"),
        (envelope(v=None), "no_envelope"),
        (envelope(writeKey=None), "no_envelope"),
        (envelope(writeKey=7), "no_envelope"),
        (envelope(receivedAt=7), "no_envelope"),
        (envelope(event=None), "no_envelope"),
        (envelope(event="page"), "no_envelope"),
        (envelope(event=[]), "no_envelope"),
        (envelope(origin=["https://good.com"]), "no_envelope"),
        (envelope(referer=7), "no_envelope"),
        (envelope(), "unknown_key"),
        (envelope(origin=None, referer=None), "unknown_key"),
        (envelope(ip=7, userAgent=[], whatever={}), "unknown_key"),  # not read, so not judged
    ],
)
def test_reasons(value: bytes | None, reason: str) -> None:
    assert verdict(value) == reason


@pytest.mark.parametrize("missing", ["v", "writeKey", "receivedAt", "event"])
def test_each_required_field(missing: str) -> None:
    document = json.loads(envelope())
    del document[missing]
    assert verdict(json.dumps(document).encode()) == "no_envelope"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'"a\x01b"', "not_json"),
        (b'"a\tb"', "not_json"),
        (b'"a\nb"', "not_json"),  # would break the line in two
        (b'"a\rb"', "not_json"),
        (b'"\xff\xfe"', "not_json"),
        (b'"\xc0\xaf"', "not_json"),  # overlong
        (b'"\xed\xa0\x80"', "not_json"),  # an encoded surrogate (CESU-8)
        (b'"\xf4\x90\x80\x80"', "not_json"),  # beyond U+10FFFF
        (b'{"a\xff":1}', "not_json"),
        (b'"\\q"', "not_json"),
        (b'"\\uZZZZ"', "not_json"),
        (b"NaN", "not_json"),
        (b"Infinity", "not_json"),
        (b"-Infinity", "not_json"),
        (b"01", "not_json"),
        (b"1.", "not_json"),
        (b"+1", "not_json"),
        (b"[1,]", "not_json"),
        (b"tru", "not_json"),
        (b"[" * 100_000 + b"]" * 100_000, "not_json"),  # deeper than readers go
        (b"[" * 400 + b"]" * 400, "unknown_key"),
        (b'"\\ud83d"', "unknown_key"),  # a title cut through an emoji, as browsers write it
        (b'"\\udc00\\ud800"', "unknown_key"),
        (b'"\x7f"', "unknown_key"),
        ('"\u2028\u2029\x85"'.encode(), "unknown_key"),  # line ends for some, never for NDJSON
        (b"1e999", "unknown_key"),
        (b"1" * 5000, "unknown_key"),
        (b'"\\ud83d",' + b'"y":' + b"1" * 5000, "unknown_key"),
        (b'1,"x":2', "unknown_key"),  # a name twice: the last one counts, for us as for readers
    ],
)
def test_strictness_in_what_is_not_read(raw: bytes, reason: str) -> None:
    assert verdict(envelope(event={"x": "?"}).replace(b'"?"', raw)) == reason


@pytest.mark.parametrize("field", ["writeKey", "receivedAt", "origin", "referer"])
@pytest.mark.parametrize("raw", [b'"\xff"', b'"\xed\xa0\x80"', b'"\x01"'])
def test_strictness_in_what_is_read(field: str, raw: bytes) -> None:
    assert verdict(envelope(**{field: "?"}).replace(b'"?"', raw)) == "not_json"


def test_utf8_cut_between_two_values_is_seen_in_both() -> None:
    cut = envelope(event={"x": "?"})
    start, end = cut.replace(b'"?"', b'"\xc3"'), cut.replace(b'"?"', b'"\xa9"')
    assert flat(sort_all(NOBODY, [Record(start), Record(end), Record(cut)]).counts) == {
        "not_json": 2,
        "unknown_key": 1,
    }


def test_the_limit_is_a_length_that_is_still_taken() -> None:
    value = envelope()
    for limit, reason in [(len(value), "unknown_key"), (len(value) - 1, "oversized")]:
        counts = sort_all(NOBODY, [Record(value)], limits=SortLimits(record_bytes=limit)).counts
        assert flat(counts) == {reason: 1}


ODD_PAGES: list[tuple[Any, Page | None]] = [
    (
        {"url": "https://good.com/", "referrer": "https://x.example/"},
        Page("https://good.com/", "https://x.example/"),
    ),
    ({"url": 7, "referrer": "https://x.example/"}, Page(None, "https://x.example/")),
    ({"url": "https://good.com/", "referrer": {}}, Page("https://good.com/", None)),
    ({"url": None, "referrer": None}, Page(None, None)),
    ({}, Page(None, None)),
    ("page", None),
    ([], None),
]


@pytest.mark.parametrize(("page", "expected"), ODD_PAGES)
def test_odd_types_inside_an_event_are_the_customers_business(page: Any, expected: Page | None) -> None:
    value = envelope(page=page)
    assert verdict(value) == "unknown_key"
    assert read_as_the_hot_path(value).page == expected


@pytest.mark.parametrize("context", [None, [], "context", 7, {"page": None}, {}])
def test_odd_contexts(context: Any) -> None:
    value = envelope(event={"context": context})
    assert verdict(value) == "unknown_key"
    assert read_as_the_hot_path(value).page is None


def read_as_the_hot_path(value: bytes) -> Envelope:
    try:
        return envelopes.decode(value)
    except envelopes.REFUSED:
        return envelopes.read(value)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" * 5000, b"0." + b"1" * 5000])
def test_numbers_beyond_any_range_beside_odd_types(number: bytes) -> None:
    value = envelope(event={"context": {"page": {"url": 7, "referrer": "r"}, "n": "?"}}).replace(
        b'"?"', number
    )
    assert verdict(value) == "unknown_key"
    assert read_as_the_hot_path(value).page == Page(None, "r")


strings = st.text(max_size=8) | st.sampled_from(["https://good.com/x", "null", "a\u2028b", "\x00", '"\\'])
documents = st.fixed_dictionaries(
    {},
    optional={
        "v": st.sampled_from([1, 1, 1, 2, "1", None]),
        "writeKey": strings | st.none(),
        "receivedAt": strings | st.integers(),
        "origin": strings | st.none() | st.integers(),
        "referer": strings | st.none(),
        "event": st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | strings,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["context", "page", "url", "referrer", "x"]), inner, max_size=4
                )
            ),
            max_leaves=12,
        ),
    },
)


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """Envelopes, nearly envelopes, and both with bytes changed."""
    document: dict[str, Any] = draw(documents)
    if draw(st.booleans()):
        whole: dict[str, Any] = {"v": 1, "writeKey": "k", "receivedAt": "t", "event": {}}
        document = whole | {name: value for name, value in document.items() if value is not None}
    text = json.dumps(
        document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 0, "\r\n", "\t"]))
    )
    value = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(value)))
        value[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [
                    b"\n",
                    b"\r",
                    b"\x01",
                    b"\xff",
                    b"\xc3",
                    b" ",
                    b'"',
                    b"}",
                    b",",
                    b"\\ud800",
                    b"",
                    b"NaN",
                    b"1e999",
                ]
            )
        )
    return bytes(value)


def by_the_book(value: bytes) -> str:
    """The reason by Python's own parser: a second opinion that shares no line with msgspec's."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    if not value:
        return "empty"
    try:
        document = json.loads(value.decode("utf-8", "strict"), parse_constant=refuse)
    except ValueError:
        return "not_json"
    if not isinstance(document, dict) or type(document.get("v")) is not int:
        return "no_envelope"
    if document["v"] != 1:
        return "unknown_version"
    types = {"writeKey": str, "receivedAt": str, "event": dict}
    whole = all(isinstance(document.get(name), kind) for name, kind in types.items())
    witnesses = all(isinstance(document.get(name), str | None) for name in ("origin", "referer"))
    return "unknown_key" if whole and witnesses else "no_envelope"


@settings(deadline=None)
@given(values())
@example(envelope(event={"x": "\ud800"}))
def test_a_line_is_taken_if_and_only_if_it_is_an_envelope_in_json(value: bytes) -> None:
    sorting = sort_all(NOBODY, [Record(value)])
    assert flat(sorting.counts) == {by_the_book(value): 1}
    ((line,),) = sorting.lines.values()
    assert len(line.splitlines()) == 1
    assert b"\n" not in line
    assert b"\r" not in line
    stored = json.loads(line)
    if "writeKey" in stored:
        assert equal(stored, json.loads(value))


def equal(one: Any, other: Any) -> bool:
    """Of JSON documents: 1 is not 1.0."""
    return json.dumps(one) == json.dumps(other)


@settings(deadline=None)
@given(values())
def test_the_quick_reader_and_the_exact_one_agree(value: bytes) -> None:
    try:
        quick = envelopes.decode(value)
    except envelopes.REFUSED:
        return
    try:
        exact = envelopes.read(value)
    except Unreadable as refusal:
        # the one thing that the quick reader leaves to the check of the whole chunk
        assert refusal.reason == "not_json"
        with pytest.raises(UnicodeDecodeError):
            value.decode()
        return
    assert (quick.write_key, quick.origin, quick.referer) == (exact.write_key, exact.origin, exact.referer)
    assert (quick.page or Page()) == (exact.page or Page())


def test_every_reason_is_reached() -> None:
    reached = {
        verdict(None),
        verdict(b"{"),
        verdict(b"{}"),
        verdict(envelope(v=2)),
        *flat(sort_all(NOBODY, [Record(envelope())], limits=SortLimits(record_bytes=1)).counts),
    }
    assert reached == set(UNREADABLE)


@pytest.mark.parametrize(
    "event",
    [
        b'{ "type":"page", "n": 1.50 }',
        b'{"title":"half \\ud83d", "caf\xc3\xa9":\t"\\u0041"}',
        b'{"a":"\\uD83D","n":' + b"1" * 5000 + b"}",
        b'{"context":{"page":7}, "s":"\\udc00\\ud800"}',
    ],
)
def test_an_event_comes_out_byte_for_byte(event: bytes) -> None:
    value = envelope(event={"x": "?"}).replace(json.dumps({"x": "?"}).encode(), event)
    twice = value.replace(b'{"v"', b'{"event":{"title":"\\ud83d"},"v"')
    for each in (value, twice, value.replace(b'"event"', b'"\\u0065vent"')):
        assert event in each
        assert verdict(each) == "unknown_key"
        assert envelopes.event_bytes(each) == event


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"junk", "not_json"), (b'{"title":"\\ud83d"}', "no_envelope"), (b"[]", "no_envelope")],
)
def test_no_event_of_what_is_no_envelope(line: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        envelopes.event_bytes(line)
    assert refused.value.reason == reason
