"""`strongroom doctor`: checks everything a worker needs, and says what is wrong and what to do."""

from typing import NamedTuple

import click

from workers import opening
from workers.cli import output, running
from workers.errors import StrongroomError
from workers.settings import Settings

PATIENCE = 5.0  # seconds that the ledger may take to answer


class Outcome(NamedTuple):
    check: str
    state: str  # ok, failed
    detail: str
    remedy: str
    exit_code: int


@click.command()
@output.json_option
def doctor(as_json: bool) -> int:
    """Check everything a worker needs, and say what is wrong.

    Exit code 0 if all is well, 1 if a person must mend something, 3 if a dependency is down.
    """
    outcomes = running.run(_examine(Settings.load()))
    output.table(
        ["check", "state", "detail", "remedy"],
        [outcome[:4] for outcome in outcomes],
        as_json=as_json,
        title="Doctor",
    )
    return worst(outcomes)


async def _examine(settings: Settings) -> list[Outcome]:
    """Every check is tried, whatever became of those before it."""
    outcomes = []
    async with opening.open_surroundings(settings, running.patient(PATIENCE)) as surroundings:
        for check in (*surroundings.checks(enroll=False), surroundings.policy_check()):
            try:
                outcomes.append(Outcome(check.name, "ok", await check.run(), "", 0))
            except StrongroomError as error:
                outcomes.append(Outcome(check.name, "failed", error.message, error.remedy, error.exit_code))
    return outcomes


def worst(outcomes: list[Outcome]) -> int:
    """What a person must mend (1) counts more than a dependency that is down (3), which may come back."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next((code for code in (2, 1, 3) if code in codes), 0)
