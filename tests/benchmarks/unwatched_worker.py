"""`strongroom` without origins, for a benchmark: hosts are neither read, judged nor observed.

    python -m tests.benchmarks.unwatched_worker worker archive

The product has no such switch. Here nothing of a page or of the browser's headers is decoded, the copy of
policy has no verdicts, and no record is kept to be observed. Workspaces that list no hosts do the rest.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import msgspec

from topics import workspaces, write_keys
from workers.intake import envelope
from workers.intake.samples import Samples


class _Event(msgspec.Struct, gc=False):
    context: ClassVar[None] = None


class _Envelope(msgspec.Struct, gc=False, rename="camel"):
    """As `envelope.Envelope`, of a record whose page and headers nobody looks at."""

    v: Literal[1]
    write_key: str
    received_at: str
    event: _Event
    origin: ClassVar[None] = None
    referer: ClassVar[None] = None
    page: ClassVar[None] = None


def main(arguments: Sequence[str]) -> int:
    envelope.decode = msgspec.json.Decoder(_Envelope).decode  # type: ignore[assignment]  # what this module is for
    Samples.see = lambda *_: None  # type: ignore[method-assign]  # as above
    Samples.note = lambda *_: None  # type: ignore[method-assign]  # as above

    from workers.roles import archive  # noqa: PLC0415 - Faust and friends, for a worker alone
    from workers.roles.policy_copy import PolicyCopy  # noqa: PLC0415 - as above

    followed = (write_keys.NAME, workspaces.NAME)
    vars(archive)["PolicyCopy"] = partial(PolicyCopy, topics=followed)

    from workers.__main__ import run  # noqa: PLC0415 - after all of it is in its place

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
