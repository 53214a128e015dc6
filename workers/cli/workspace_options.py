"""How options that set a workspace are written."""

from typing import Any

import click

from topics.workspaces import MAX_QUOTA, SourceType
from workers.errors import Poison
from workers.ledger import workspace_terms

FOREVER = "forever"
UNLIMITED = "unlimited"


class Days(click.ParamType):
    """A number of days, or `forever`."""

    name = "N|forever"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == FOREVER or isinstance(value, int):
            return value  # type: ignore[no-any-return]  # click's Any, narrowed by the line above
        try:
            return workspace_terms.checked_days(float(value))
        except ValueError:
            self.fail(f"{value!r} is neither a number of days nor {FOREVER!r}", param, ctx)
        except Poison as error:
            self.fail(f"{error.message}. {error.remedy}", param, ctx)


class PerSecond(click.ParamType):
    """A number a second, or `unlimited`."""

    name = "N|unlimited"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == UNLIMITED or isinstance(value, int):
            return value  # type: ignore[no-any-return]  # click's Any, narrowed by the line above
        if not str(value).isascii() or not str(value).isdigit() or not 1 <= int(value) <= MAX_QUOTA:
            self.fail(f"{value!r} is neither 1 to {MAX_QUOTA} nor {UNLIMITED!r}", param, ctx)
        return int(value)


class SourceText(click.ParamType):
    """`ID:TYPE`, or `ID:TYPE:pattern,pattern` to set the hosts that are this source's own."""

    name = "ID:TYPE[:pattern,...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, SourceType, tuple[str, ...] | None]:
        if isinstance(value, tuple):
            return value
        source, _, rest = str(value).partition(":")
        kind, colon, patterns = rest.partition(":")
        if kind not in list(SourceType):
            types = ", ".join(SourceType)
            self.fail(f"{value!r} names no type: write ID:TYPE, where TYPE is one of {types}", param, ctx)
        hosts = tuple(pattern for pattern in patterns.split(",") if pattern) if colon else None
        return source, SourceType(kind), hosts
