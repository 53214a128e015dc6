"""What a partition's keys have used of what they may have. It outlives a batch and ends with the claim."""

from workers.intake.quotas import Quotas
from workers.intake.unknown_keys import UnknownKeys


class Allowances:
    """`quotas` None: nobody is held to one."""

    __slots__ = ("quotas", "unknown")

    def __init__(self, quotas: Quotas | None) -> None:
        self.quotas = quotas
        self.unknown = UnknownKeys()


def fresh() -> Allowances:
    """Of a partition that was claimed just now."""
    return Allowances(Quotas())
