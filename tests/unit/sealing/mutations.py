"""Changes to bytes, drawn by Hypothesis: bits flipped, bytes set, cut out or put in, the end cut off."""

from typing import Any, TypeAlias

from hypothesis import strategies as st

Change: TypeAlias = tuple[str, int, Any]  # what is done, where, and with what

edits = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 400), st.integers(0, 7)),
    st.tuples(st.just("set"), st.integers(0, 400), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.integers(0, 400), st.integers(1, 40)),
    st.tuples(st.just("end"), st.integers(0, 400), st.just(0)),
    st.tuples(st.just("put"), st.integers(0, 400), st.binary(min_size=1, max_size=40)),
)


def edited(data: bytes, changes: list[Change]) -> bytes:
    for kind, place, what in changes:
        at = place % (len(data) + 1)
        before, rest = data[:at], data[at:]
        match kind:
            case "flip":
                data = before + bytes(byte ^ 1 << what for byte in rest[:1]) + rest[1:]
            case "set":
                data = before + bytes([what]) + rest[1:]
            case "cut":
                data = before + rest[what:]
            case "end":
                data = before
            case _:
                data = before + what + rest
    return data


some_edits = st.lists(edits, min_size=1, max_size=4)
