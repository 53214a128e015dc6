"""`strongroom unclaimed`: records of unknown write keys that wait for their key, and until when."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import click

from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.errors import StrongroomError
from workers.intake.policy import Policy
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.replay_plan import Line
from workers.ledger.unclaimed import Reading, UnclaimedUnit, days, expires_at, unclaimed_unit
from workers.roles.process import now
from workers.settings import Settings

DAYS = ("day", "expires", "objects", "records", "bytes")
KEYS = ("key", "records", "bytes", "first_day", "last_day", "expires")
KEYS_MAX = 1_000_000  # counted apart, some 200 bytes each
OTHERS = "*"
FINDINGS = 1  # exit code


@dataclass
class Waiting:
    """Of one key, by its days in order."""

    first_day: str
    last_day: str
    records: int = 0
    bytes: int = 0


class Keys:
    def __init__(self) -> None:
        self.of: dict[str, Waiting] = {}

    def add(self, day: str, lines: Iterable[Line]) -> None:
        for line in lines:
            key = line.write_key if line.write_key in self.of or len(self.of) < KEYS_MAX else OTHERS
            waiting = self.of.setdefault(key, Waiting(day, day))
            waiting.last_day = day
            waiting.records += 1
            waiting.bytes += len(line.value)

    def rows(self, top: int) -> list[tuple[object, ...]]:
        """Most records first, and what is beyond `top` in one row. The oldest of its records expire first."""
        ranked = sorted(self.of.items(), key=lambda each: (each[0] == OTHERS, -each[1].records, each[0]))
        shown = [each for each in ranked[:top] if each[0] != OTHERS]
        rest = [waiting for _, waiting in ranked[len(shown) :]]
        if rest:
            together = Waiting(
                min(each.first_day for each in rest),
                max(each.last_day for each in rest),
                sum(each.records for each in rest),
                sum(each.bytes for each in rest),
            )
            shown.append((OTHERS, together))
        return [
            (key, each.records, each.bytes, each.first_day, each.last_day, iso_ms(expires_at(each.first_day)))
            for key, each in shown
        ]


@click.command()
@click.option("--keys", "by_key", is_flag=True, help="Open the objects, and show whose records they are.")
@click.option("--top", type=click.IntRange(min=1), default=50, show_default=True, help="So many keys.")
@output.json_option
def unclaimed(by_key: bool, top: int, as_json: bool) -> int:
    """Show the records of unknown write keys that are kept: how many of which day, and when they expire.

    The steward replays them once their key is registered. With --keys, which needs a root key, they are shown
    by key: `*` are the keys beyond the --top with the most records. Exit code 1 if an object can't be read.
    """
    rows, broken = running.run(_look(Settings.load(), by_key, top))
    output.table(KEYS if by_key else DAYS, rows, as_json=as_json, title="Unclaimed records")
    for name, why in broken.items():
        output.say(f"{output.visible(name)}: {output.visible(why)}")
    return FINDINGS if broken else 0


async def _look(
    settings: Settings, by_key: bool, top: int
) -> tuple[list[tuple[object, ...]], dict[str, str]]:
    broken: dict[str, str] = {}

    def tell(name: str, error: StrongroomError) -> None:
        broken[name] = error.message

    keys = Keys()
    rows: list[tuple[object, ...]] = []
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(opening.open_ledger(settings))
        data = await opened.enter_async_context(opening.open_data(settings))
        keystore = await opened.enter_async_context(opening.open_keystore(settings)) if by_key else None
        reading = Reading(ledger, data, keystore, running.patient(), Policy(), tell)
        objects = IntakeObjects(ledger, data, reading.retry)
        for day in days(now()):
            unit = UnclaimedUnit(unclaimed_unit(day), reading)
            await unit.find(objects)
            for name in unit.live if by_key else ():
                keys.add(day, await unit.open(name) or ())
            if unit.live and not by_key:
                size = len(unit.live), unit.records, unit.plain_bytes
                rows.append((day, iso_ms(expires_at(day)), *size))
    return keys.rows(top) if by_key else rows, broken
