"""What real SDKs send (shapes.json, captured), filled with values."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

ABSENT = object()  # a value that makes its field disappear, as JavaScript's undefined does


class Sdk(NamedTuple):
    package: str
    spaced: bool  # Python's JSON: a space after colons and commas, everything beyond ASCII escaped
    batched: bool  # many calls a request: `writeKey` and `sentAt` stand outside the call then
    user_agent: str  # of the HTTP request; `$userAgent` is the browser's
    calls: Mapping[str, Any]  # kind → template


@cache
def sdk(package: str) -> Sdk:
    shapes = json.loads((Path(__file__).parent / "shapes.json").read_bytes())["sdks"][package]
    return Sdk(package, shapes["spaced"], shapes["batched"], shapes["userAgent"], shapes["calls"])


def filled(shape: Any, values: Mapping[str, Any]) -> Any:
    """`shape` with its `$name`s replaced from `values`. Raises KeyError for a name that has no value."""
    if isinstance(shape, str):
        if shape.startswith("$") and "$" not in shape[1:] and "-" not in shape:
            return values[shape[1:]]
        return Template(shape).substitute(values) if "$" in shape else shape
    if isinstance(shape, dict):
        spread = values[shape["$"][1:]] if "$" in shape else {}
        inner = {name: filled(value, values) for name, value in shape.items() if name != "$"}
        return {name: value for name, value in {**spread, **inner}.items() if value is not ABSENT}
    return shape


def call(source: Sdk, kind: str, values: Mapping[str, Any]) -> bytes:
    """One call as `source` would write it to the wire."""
    body = filled(source.calls[kind], values)
    if source.spaced:
        return json.dumps(body).encode()
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
