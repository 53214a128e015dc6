"""Lists all that lies under data/, to count what no entry lists and to see what was written twice.

No names are kept. An object's name says which entry may list it, so entries never share one: what is there
less what the entries list is what nobody lists.
"""

import re
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.data_name import OutputName, parse_output
from workers.ledger.entries import Entry
from workers.ledger.halts import Halted
from workers.ledger.names import ChainId, unit_entry
from workers.ledger.unit_places import Standing, UnitPlaces
from workers.ledger.verify_listing import Listed, Listing
from workers.ledger.verify_report import Kind
from workers.ledger.verify_state import Progress, StateFile
from workers.store.port import Store
from workers.store.retry import Retry

ROOT = "data/"
NAME = re.compile(
    r"data/ws=[^/]+/src=[^/]+/day=[^/]+/[^/]+/"
    r"(?P<chain>[^/]+)-(?P<first>\d{20})-\d{20}-[0-9a-f]+\.ndjson\.(?:zst|gz)\Z",
    re.ASCII,
)
# Kafka's topic ids have 22 characters
CHAIN = re.compile(
    r"(?P<topic>.+)-(?P<topic_id>[\w-]{22})\.(?P<incarnation>\d+)-(?P<partition>\d{5})\Z", re.ASCII
)


class DataPlace(NamedTuple):
    """Which entry may list an object."""

    chain: ChainId
    first: int


def data_place(key: str) -> DataPlace | None:
    """None for a key that no flush would have written."""
    name = NAME.match(key)
    chain = name and CHAIN.match(name["chain"])
    if not name or not chain:
        return None
    of = ChainId(chain["topic"], chain["topic_id"], int(chain["incarnation"]), int(chain["partition"]))
    return DataPlace(of, int(name["first"]))


def chain_text(chain: ChainId) -> str:
    """As objects' names have it."""
    return f"{chain.topic}-{chain.topic_id}.{chain.incarnation}-{chain.partition:05d}"


class Unlisted:
    """Memory: one page of keys, the ends of intake chains, and unit_places.KEPT outputs."""

    def __init__(
        self, ledger: Store, data: Store, retry: Retry, progress: Progress, state: StateFile | None
    ) -> None:
        self._ledger, self._data, self._retry = ledger, data, retry
        self._progress, self._state = progress, state
        self._ends = {chain_text(end.chain): end for end in progress.chains.values()}
        self._units = UnitPlaces(ledger, retry)

    async def run(self) -> None:
        progress = self._progress
        async for listed in Listing(self._data, ROOT, self._retry, after=progress.data or ""):
            output = parse_output(listed.key)
            if output is not None:
                await self._take_output(listed, output)
                self._move(listed)
                continue
            missing = await self._missing_chain(listed)
            if listed.versions > 1 and not await self._came_late(listed):
                progress.stored.found(
                    Kind.OVERWRITTEN_OBJECT, listed.key, f"it has {listed.versions} versions"
                )
            self._take(listed, missing)
            self._move(listed)

    def _move(self, listed: Listed) -> None:
        self._progress.data = listed.key
        if self._state:
            self._state.keep(self._progress)

    async def _take_output(self, listed: Listed, output: OutputName) -> None:
        """An output of a unit's consumer."""
        progress, report = self._progress, self._progress.stored
        standing, why = await self._units.of(output)
        swept = standing is not Standing.LISTED and listed.versions <= listed.markers + 1
        if listed.versions > 1 and not swept:
            report.found(Kind.OVERWRITTEN_OBJECT, listed.key, f"it has {listed.versions} versions")
        if listed.there:
            progress.listed += 1
            progress.beyond_head += standing is Standing.FREE
            if standing is Standing.BEYOND:
                report.found(
                    Kind.UNIT_HOLE,
                    unit_entry(output.consumer, output.seq),
                    f"{why}, and {listed.key} is there",
                )

    def _take(self, listed: Listed, missing: ChainId | None) -> None:
        progress, report = self._progress, self._progress.stored
        if not listed.there:
            return
        name = NAME.match(listed.key)
        if name is None or (name["chain"] not in self._ends and data_place(listed.key) is None):
            report.found(Kind.STRANGE_KEY, listed.key, "nothing would have written such a name")
            return
        end = self._ends.get(name["chain"])
        if end is not None and int(name["first"]) < end.since:
            return  # its entry was not read, so neither was it counted there
        progress.listed += 1
        if missing is not None and name["chain"] not in progress.unknown:
            progress.unknown.append(name["chain"])
            report.found(Kind.MISSING_CHAIN, missing.genesis, f"{listed.key} was archived or was about to be")
        elif end is None or (end.closing is None and (end.head is None or int(name["first"]) >= end.head)):
            progress.beyond_head += 1

    async def _came_late(self, listed: Listed) -> bool:
        """Whether it is an orphan that was swept, and whose PUT, sent before, came again behind that."""
        place = data_place(listed.key)
        if place is None or listed.versions > listed.markers + 1:
            return False
        where = place.chain.entry(place.first)
        body = await read(self._ledger, where, self._retry)
        try:
            entry = None if body is None else entries.decode_slot(body, where)
        except Halted:
            return False
        return not isinstance(entry, Entry) or all(listed.key != stored.key for stored in entry.objects)

    async def _missing_chain(self, listed: Listed) -> ChainId | None:
        """The object's chain, if there is none: not even one that was begun since the ledger was read."""
        name = NAME.match(listed.key)
        if name is None or name["chain"] in self._ends or name["chain"] in self._progress.unknown:
            return None
        place = data_place(listed.key)
        if place is None or await read(self._ledger, place.chain.genesis, self._retry) is not None:
            return None
        return place.chain
