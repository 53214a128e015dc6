"""The program with a defect on purpose, to see that fuzzing finds one."""

from contextlib import AbstractContextManager, nullcontext

from tests.unit.sealing import checks


def weakened(without: str) -> AbstractContextManager[None]:
    """Without the check that checks.py writes so; with all of them for ''."""
    if not without:
        return nullcontext()
    return checks.without(next(check for check in checks.found() if str(check) == without))
