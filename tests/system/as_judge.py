"""Says what the judge says, as a process of its own: `python -m tests.system.as_judge WORKSPACE KEY HOST...`.

By the settings of the environment, as every process of a fleet. Returns when the verdicts are acknowledged.
"""

import asyncio
import sys

from topics.origin_verdicts import VerdictKind
from workers.cli.policy import asked_by, open_policy
from workers.ledger.verdict_commands import Judged, append_verdicts
from workers.settings import Settings

EVIDENCE = {"pages_told": 12.0, "pages_found": 12.0, "content_match": 0.757}


async def main(workspace: str, key: str, *hosts: str) -> None:
    settings = Settings.load()
    async with open_policy(settings) as books:
        copies = [Judged(key, workspace, host, VerdictKind.COPY, EVIDENCE) for host in hosts]
        await append_verdicts(books.verdicts, copies, asked_by(settings, "12 pages"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
