"""Times in answers are read quickly, and mean what botocore says that they mean."""

import pytest
from botocore.utils import parse_timestamp  # type: ignore[import-untyped]  # ships no types

from workers.store.documents import parsed_time


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26T03:00:00.000Z",
        "2026-11-26T03:00:00Z",
        "2026-11-26T03:00:00.123456+02:00",
        "Thu, 26 Nov 2026 03:00:00 GMT",
        "2026-11-26T03:00:00",
        "1795651200",
        1795651200,
    ],
)
def test_a_time_is_what_botocore_says(text: object) -> None:
    assert parsed_time(text) == parse_timestamp(text)


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parsed_time("no time")
