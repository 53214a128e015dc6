"""JSON to the letter: what msgspec refuses although it is good, and members cut out as they stand."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import exact_json

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars | st.text(st.characters(categories=["Cs", "L"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
spaces = st.text(" \t\r\n", max_size=3)


@given(st.lists(st.tuples(st.text(max_size=3) | st.just("event"), values), max_size=4), st.data())
def test_a_member_is_cut_out_as_it_stands(members: list[tuple[str, Any]], data: st.DataObject) -> None:
    parts, wanted = [], None
    for name, value in members:
        text = json.dumps(value, indent=data.draw(st.sampled_from([None, 1])))
        if name == "event":
            wanted = text  # a name twice: the last one counts
        gaps = [data.draw(spaces) for _ in range(4)]
        parts.append(f"{gaps[0]}{json.dumps(name)}{gaps[1]}:{gaps[2]}{text}{gaps[3]}")
    assert exact_json.member(f"\n{{{','.join(parts) or ' '}}}\r", "event") == wanted


def test_a_name_written_with_escapes_is_that_name() -> None:
    assert exact_json.member(r'{"\u0065vent": [1,  2]}', "event") == "[1,  2]"


@pytest.mark.parametrize("text", ["", "[]", "1", '{"event":1', '{"event":NaN}', '{"event":1}}', "{}{}"])
def test_no_member_of_what_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        exact_json.member(text, "event")


def test_numbers_beyond_any_range_are_json() -> None:
    assert exact_json.member('{"event":' + "1" * 5000 + "}", "event") == "1" * 5000


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "Infinity", "\ufeff1", '"\x01"'])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        exact_json.parse(text)
