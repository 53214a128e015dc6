"""Ids inside topic values, as types that decoding checks: they end up in object names (docs/format.md)."""

import re
from typing import Annotated

from msgspec import Meta

from workers.errors import Poison
from workers.ledger.names import ID, checked_id

# an id of a customer's: ids that start with an underscore are the platform's own
CUSTOMER_ID = re.compile(r"\A[A-Za-z0-9-][A-Za-z0-9_-]{0,63}\Z", re.ASCII)
DAY = re.compile(r"\A\d{4}-\d{2}-\d{2}\Z", re.ASCII)

Id = Annotated[str, Meta(pattern=rf"\A{ID.pattern}")]
CustomerId = Annotated[str, Meta(pattern=CUSTOMER_ID.pattern)]
Day = Annotated[str, Meta(pattern=DAY.pattern)]  # UTC
Reason = Annotated[str, Meta(max_length=1000)]  # in a person's words
Count = Annotated[int, Meta(ge=0)]


def checked_customer_id(kind: str, value: str) -> str:
    """`value` if a customer's workspace or source can be called so, else Poison."""
    if not CUSTOMER_ID.match(checked_id(kind, value)):
        raise Poison(
            f"{kind} {value!r} starts with an underscore",
            remedy="Such ids are the platform's own: choose another",
        )
    return value
