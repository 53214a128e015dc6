"""Errors by remedy: what a caller does about one decides its class.

`Retryable`: the same call may succeed later; try again, as a declared hold if it lasts.
`Poison`: this input is bad and stays bad; set it aside with its bytes and go on.
`Fatal`: only a person can mend it; stop and say what to do.
"""


class StrongroomError(Exception):
    """`message` says what is wrong and names the thing; `remedy` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


class Retryable(StrongroomError):
    """A dependency is down or busy."""

    exit_code = 3


class Poison(StrongroomError):
    """One input can't be used."""


class Fatal(StrongroomError):
    """Nothing here can go on until a person acts."""
