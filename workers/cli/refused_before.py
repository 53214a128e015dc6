"""What was refused of a write key while nobody knew it: told to whoever registers it."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from topics.rejections import NAME, Rejection, codec
from topics.times import iso_ms
from topics.write_keys import WriteKey
from workers import opening
from workers.cli import output
from workers.errors import Poison, StrongroomError
from workers.intake.dispositions import PLATFORM
from workers.intake.kept import DAY, UNCLAIMED_DAYS
from workers.settings import Settings

LOOK_BACK = UNCLAIMED_DAYS * DAY  # ms: as long as records of unknown keys are kept
READING = 20.0  # seconds that a registration, which has been done, waits for this


@dataclass
class RefusedBefore:
    """Records of one key. At least: `strongroom rejections` names no more than some keys of each batch."""

    key: str
    records: int = 0
    first_at: int = 2**63  # ms since the epoch, as last_at
    last_at: int = 0
    _seen: set[tuple[str | int, ...]] = field(default_factory=set)

    def add(self, values: Iterable[bytes]) -> None:
        """Takes records' values. A batch that was told twice counts once."""
        for value in values:
            try:
                row = codec.decode(value)
            except Poison:
                continue
            if self._is_of(row) and row.identity not in self._seen:
                self._seen.add(row.identity)
                self.records += row.records
                self.first_at = min(self.first_at, row.first_at)
                self.last_at = max(self.last_at, row.last_at)

    def as_json(self) -> dict[str, object]:
        return {"records": self.records, "first": iso_ms(self.first_at), "last": iso_ms(self.last_at)}

    def _is_of(self, row: Rejection) -> bool:
        """What a key is refused for once it is registered is another matter."""
        return row.workspace == PLATFORM and row.write_key == self.key


async def look(settings: Settings, key: str) -> RefusedBefore | str:
    """Of the last seven days; or in words why nobody can say."""
    from workers.stream.recent import read_since  # noqa: PLC0415 - other commands start fast

    found = RefusedBefore(key)
    since = time.time_ns() // 1_000_000 - LOOK_BACK
    try:
        async with asyncio.timeout(READING):
            topic = settings.topic_prefix + NAME
            async for values in read_since(opening.kafka(settings), topic, since, follow=False):
                found.add(values)
    except TimeoutError:
        return f"it takes longer than {READING:.0f} s to read"
    except StrongroomError as error:
        return error.message
    return found


def tell(registered: WriteKey, found: RefusedBefore | str) -> None:
    """On stderr, with what becomes of the records that were kept."""
    whose = f"{registered.workspace}/{registered.source}"
    if isinstance(found, str):
        output.say(f"What was refused of {registered.key} before is not known: {found}")
    elif found.records:
        output.say(
            f"Of {registered.key}, {found.records} records at least were refused while nobody knew it, from "
            f"{iso_ms(found.first_at)} to {iso_ms(found.last_at)}: they are not archived"
        )
    output.say(f"What was kept of it in the last 7 days will be replayed into {whose} by the steward")
