"""What customers want, day by day."""

import random
from enum import StrEnum
from typing import NamedTuple

FEWEST = 6  # customers, and days: the cast and one that closes, and all that befalls them


class What(StrEnum):
    SET = "set"
    HOLD = "hold"
    RELEASE = "release"
    CLOSE = "close"


class Wish(NamedTuple):
    """On day `day`. `racing`: while the workers are at work; otherwise before."""

    day: int
    what: What
    racing: bool
    days: int | None = None
    source: str | None = None


class Customer(NamedTuple):
    name: str
    sources: tuple[str, ...] = ("web",)
    wishes: tuple[Wish, ...] = ()

    @property
    def closed_on(self) -> int | None:
        return next((wish.day for wish in self.wishes if wish.what is What.CLOSE), None)


def customers(count: int, days: int, rng: random.Random) -> list[Customer]:
    """Three in five have a retention, three of these are held, one of the rest is closed.

    Some are cast so that holds, recalls and graces matter whatever is drawn. Of the others with a retention
    two thirds change it once more. A quarter of all have a second source, most with a retention of its own.
    """
    with_policy = max(len(CAST), count * 3 // 5)
    made = []
    for number in range(count):
        sources = ("web", "app") if number % 4 == 1 else ("web",)
        if number < len(CAST):
            wishes = CAST[number](days)
        elif number < with_policy:
            wishes = _terms(number, days, rng)
        else:
            wishes = []
        if number == len(CAST) < with_policy:
            wishes += _held_for_a_while(days, rng)
        if number == count - 1:
            wishes.append(Wish(days // 2, What.CLOSE, racing=True))
        made.append(Customer(f"c{number:02d}", sources, tuple(sorted(wishes, key=lambda wish: wish.day))))
    return made


# By day 3 the unit of day 0 is disabled, by a term of a day, and each day another gets there.


def _released(days: int) -> list[Wish]:
    """Held before the workers come, so that what they disabled yesterday is taken back; due again later."""
    held_on = max(3, days // 3)
    return [
        Wish(0, What.SET, racing=False, days=1),
        Wish(held_on, What.HOLD, racing=False),
        Wish(held_on + max(2, days // 6), What.RELEASE, racing=False),
    ]


def _held_for_good(days: int) -> list[Wish]:
    return [
        Wish(0, What.SET, racing=False, days=1),
        Wish(max(3, days // 3), What.HOLD, racing=False),
    ]


def _shortened(days: int) -> list[Wish]:
    """So that what the shorter term makes due at once has its grace."""
    return [
        Wish(0, What.SET, racing=False, days=max(4, days // 3)),
        Wish(max(3, days // 2), What.SET, racing=True, days=1),
    ]


def _lengthened(days: int) -> list[Wish]:
    """So that what was disabled yesterday is taken back, and goes by the longer term."""
    return [
        Wish(0, What.SET, racing=False, days=1),
        Wish(max(3, days // 3), What.SET, racing=False, days=max(3, days // 6)),
    ]


def _repents(days: int) -> list[Wish]:
    """Of a shorter term, within its grace: nothing may have been begun by it."""
    longer, on = max(4, days // 3), max(3, days // 2)
    return [
        Wish(0, What.SET, racing=False, days=longer),
        Wish(on, What.SET, racing=False, days=1),
        Wish(on + 1, What.SET, racing=False, days=longer + days),
    ]


CAST = (_released, _held_for_good, _shortened, _lengthened, _repents)


def _held_for_a_while(days: int, rng: random.Random) -> list[Wish]:
    held_on = rng.randrange(days // 3, max(days // 3 + 1, days // 2))
    released_on = rng.randrange(held_on + 2, max(held_on + 3, days * 2 // 3))
    return [Wish(held_on, What.HOLD, racing=True), Wish(released_on, What.RELEASE, rng.random() < 0.7)]


def _terms(number: int, days: int, rng: random.Random) -> list[Wish]:
    longest, first = max(3, days // 3), rng.randrange(max(1, days // 3))
    wishes = [Wish(first, What.SET, racing=False, days=rng.randint(2, longest))]
    if number % 4 == 1:
        wishes.append(Wish(first, What.SET, racing=False, days=rng.randint(1, longest), source="app"))
    if number % 3:
        later = rng.randrange(first + 1, max(first + 2, days - 2))
        wishes.append(Wish(later, What.SET, racing=True, days=rng.randint(1, longest)))
    return wishes
