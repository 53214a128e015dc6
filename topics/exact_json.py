"""JSON to the letter of RFC 8259, by Python's own parser: slow, for the little that msgspec refuses of it.

That is lone surrogates written as escapes, which is how browsers write a text that was cut through an emoji
(8.2), and numbers beyond any range where a value is built.
"""

import json
import re
from typing import Any, NoReturn

SPACE = re.compile("[ \t\n\r]*")  # RFC 8259, 2: Python's own idea of white space is wider


def parse(text: str) -> Any:
    """What the text says. Raises ValueError for what is no JSON, or is nested too deeply to be read."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def member(text: str, name: str) -> str | None:
    """Of the object that is the text: the text of a member's value, as it stands. The last of that name."""
    if not isinstance(parse(text), dict):
        raise ValueError("no object")
    found = None
    at = _past_space(text, _past_space(text, 0) + 1)  # the brace
    while text[at] != "}":
        said, at = _decoder.raw_decode(text, at)
        at = _past_space(text, _past_space(text, at) + 1)  # the colon
        _, end = _decoder.raw_decode(text, at)
        if said == name:
            found = text[at:end]
        at = _past_space(text, end)
        if text[at] == ",":
            at = _past_space(text, at + 1)
    return found


def _past_space(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    assert match is not None  # noqa: S101  # it matches nothing, too
    return match.end()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _small_int(digits: str) -> int | float:
    # int() refuses more than 4,300 digits, which JSON allows; no number that we read is that high
    return int(digits) if len(digits) < 20 else float(digits)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_small_int)
