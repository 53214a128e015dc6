"""`strongroom` without origins, for a benchmark: hosts are neither judged nor observed.

    python -m tests.benchmarks.unwatched_worker worker archive

The product has no such switch. Here the copy of policy has no verdicts, and no record is kept to be observed.
Workspaces that list no hosts do the rest. A page's fields are decoded as they are for such workspaces too.
"""

import sys
from collections.abc import Sequence
from functools import partial

from topics import workspaces, write_keys
from workers.intake.samples import Samples


def main(arguments: Sequence[str]) -> int:
    Samples.see = lambda *_: None  # type: ignore[method-assign]  # what this module is for
    Samples.note = lambda *_: None  # type: ignore[method-assign]  # as above

    from workers.roles import archive  # noqa: PLC0415 - Faust and friends, for a worker alone
    from workers.roles.policy_copy import PolicyCopy  # noqa: PLC0415 - as above

    followed = (write_keys.NAME, workspaces.NAME)
    vars(archive)["PolicyCopy"] = partial(PolicyCopy, topics=followed)

    from workers.__main__ import run  # noqa: PLC0415 - after all of it is in its place

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
