"""Times as topics write them: ISO 8601 in UTC with milliseconds."""

from datetime import UTC, datetime


def iso_ms(ms: int) -> str:
    """2026-11-23T10:00:00.000Z for ms since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
