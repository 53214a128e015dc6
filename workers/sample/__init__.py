"""The sample data that `strongroom demo` sends, and its generator. README.md says what is in it."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EVENTS = HERE / "events.ndjson.gz"
POLICY = HERE / "policy.json"


def lines() -> Iterator[bytes]:
    """Values of raw-events in the order to send them, without line ends. Some are malformed on purpose."""
    with gzip.open(EVENTS) as file:
        for line in file:
            yield line.removesuffix(b"\n")


def policy() -> dict[str, Any]:
    """policy.json: what to set before sending, and what must become of the records (README.md)."""
    loaded: dict[str, Any] = json.loads(POLICY.read_bytes())
    return loaded
