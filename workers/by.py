"""Who asks for a change that is put on record."""

from typing import NamedTuple


class By(NamedTuple):
    """Who asks, from which machine, why, and when (ms since the epoch)."""

    who: str
    host: str
    why: str
    now: int
