"""What a group's lines are, however many chunks they came in; and that they do not hold on to records."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from workers.intake.lines import Lines

texts = st.binary().map(lambda text: text.replace(b"\n", b" "))


@given(st.lists(st.lists(texts, max_size=5)))
def test_lines_stay_what_they_were_and_in_their_order(chunks: list[list[bytes]]) -> None:
    lines = Lines()
    for chunk in chunks:
        lines.extend(chunk)
    whole = [line for chunk in chunks for line in chunk]
    assert list(lines) == whole
    assert len(lines) == len(whole)
    assert lines.ndjson() == b"".join(line + b"\n" for line in whole)
    lines.clear()
    assert (list(lines), len(lines), lines.ndjson()) == ([], 0, b"")


def test_records_are_let_go() -> None:
    chunk = [bytes(1000), bytes(2000)]
    before = [sys.getrefcount(line) for line in chunk]
    lines = Lines(chunk)
    assert [sys.getrefcount(line) for line in chunk] == before
    assert len(lines) == 2
