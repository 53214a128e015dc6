"""What must hold after every schedule, asserted from the bucket and from what was produced."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tests.runs import LOG_APPEND_TIME
from tests.simulation import losses, records, unit_chains
from tests.simulation.kafka import Holds, Log, Slot
from tests.simulation.keys import key_of
from tests.unit.ledger.signing import SIGNER
from workers.intake.dispositions import Clock
from workers.ledger.names import ChainId
from workers.ledger.pack import unpack
from workers.ledger.verify import Verifier
from workers.ledger.verify_tails import Sources
from workers.sealing.keys import Unit
from workers.sealing.refusals import Refused
from workers.sealing.unit_key import Lease
from workers.store.retry import Retry

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]


async def check(world: "World") -> None:
    """Adds what is violated to the world's violations."""
    _check_overwritten(world)
    _check_swept(world)
    _check_halts(world)
    archived: dict[ChainId, list[Slot]] = {}
    for chain in sorted(world.bucket.chains):
        archived[chain] = _check_content(world, chain, _check_chain(world, chain))
    losses.check(world, archived)
    unit_chains.check(world, lambda stored: _opened(world, stored))
    _check_requests(world)
    await _check_verify(world)


def _check_overwritten(world: "World") -> None:
    for key in world.bucket.overwritten:
        world.violated("overwritten", key)


def _check_swept(world: "World") -> None:
    """No listed object was ever deleted; and a last pass leaves nothing that can be known for an orphan."""
    bodies = [stored.body for key, stored in world.bucket.bodies.items() if key.startswith("ledger/")]
    listed = {stored["key"] for body in bodies for stored in json.loads(body or b"").get("objects", ())}
    listed |= unit_chains.outputs(world)
    for key in sorted(listed & world.bucket.swept):
        world.violated("swept", f"{key} is listed, and was deleted")
    world.steward.last_pass()
    if world.deleted:
        return  # where entries are missing nothing can be known
    for stat in world.bucket.stats("data/"):
        if stat.key not in listed and not _is_pending(world, stat.key):
            world.violated("orphan", f"{stat.key} was left by a sweep")


def _is_pending(world: "World", key: str) -> bool:
    """Whether its attempt may yet be committed."""
    name = key.rpartition("/")[2]
    if name.startswith("from="):
        return unit_chains.is_pending(world, key)
    for chain in world.bucket.chains:
        text = f"{chain.topic}-{chain.topic_id}.{chain.incarnation}-{chain.partition:05d}-"
        if name.startswith(text):
            head = world.bucket.head(chain)
            first = int(name.removeprefix(text)[:20])
            return chain not in world.bucket.closings and head is not None and first >= head
    return False


def _check_halts(world: "World") -> None:
    for partition in range(len(world.topic.logs)):
        cause = world.halted(partition)
        if cause is not None and cause not in world.may_halt[world.log_name(partition)]:
            world.violated("halted", f"[{partition}] by {cause}: nothing is wrong with it")


# -- the chain -----------------------------------------------------------------------------------------------


def _check_chain(world: "World", chain: ChainId) -> list[Json]:
    """Invariants 1 and 2, of everything that was ever written. The entries in order."""
    genesis = world.bucket.bodies.get(chain.genesis)
    if genesis is None or genesis.body is None:
        world.violated("no_genesis", chain.prefix)
        return []
    document = json.loads(genesis.body)
    digest, at = _digest(genesis.body), document["first"]
    logs = dict([(world.topic.topic_id, world.topic.logs), *world.topic.former])
    log = logs[chain.topic_id][chain.partition]
    if "after" not in document and at not in log.starts:
        world.violated("genesis", f"{chain.prefix} begins at {at}, the log began at {sorted(log.starts)}")
    entries = []
    for first in sorted(first for first in world.bucket.chains[chain] if first >= 0):
        body = world.bucket.bodies[chain.entry(first)].body or b""
        entry = json.loads(body)
        if first != at:
            world.violated("contiguous", f"{chain.entry(first)}: {at} was due")
        if entry["previous"] != digest:
            world.violated("previous", f"{chain.entry(first)} does not follow the entry before it")
        counted = entry["gaps"] + sum(sum(reasons.values()) for reasons in entry["counts"].values())
        if counted != entry["next"] - first:
            world.violated("counted", f"{chain.entry(first)} counts {counted} in [{first}, {entry['next']})")
        digest, at = _digest(body), entry["next"]
        entries.append(entry)
    return entries


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# -- the content ---------------------------------------------------------------------------------------------


def _check_content(world: "World", chain: ChainId, entries: list[Json]) -> list[Slot]:
    """Invariants 3 and 7, and that the chain holds exactly what was in one version of its log: that."""
    logs = dict([(world.topic.topic_id, world.topic.logs), *world.topic.former])
    log = logs[chain.topic_id][chain.partition]
    opened = {stored["key"]: _opened(world, stored) for entry in entries for stored in entry["objects"]}
    fewest: list[str] | None = None
    for slots in (*log.versions, log.slots):
        wrong = [
            f"{chain.entry(entry['first'])}: {what}"
            for entry in entries
            for what in _differences(
                entry, slots[entry["first"] - log.base : entry["next"] - log.base], opened
            )
        ]
        if not wrong:
            _count(world, entries, log, slots)
            ranges = [(entry["first"] - log.base, entry["next"] - log.base) for entry in entries]
            return [slot for first, end in ranges for slot in slots[first:end]]
        fewest = wrong if fewest is None or len(wrong) < len(fewest) else fewest
    for what in (fewest or [])[:5]:
        world.violated("content", what)
    return []


def _opened(world: "World", stored: Json) -> list[bytes]:
    """The lines of an object; of one that is missing or altered, what makes every comparison fail."""
    found = world.bucket.bodies.get(stored["key"])
    if found is None or found.body is None:
        return [b"(is not there)"]
    if _digest(found.body) != stored["sha256"] or len(found.body) != stored["stored_bytes"]:
        return [b"(has another digest)"]
    unit = Unit(stored["workspace"], stored["source"], stored["day"], Clock(stored["clock"]))
    key = key_of(unit, Lease(float("inf")), lambda: 0.0)
    try:
        plain = unpack(stored["key"], key.open(found.body, found.metadata, stored["key"]))
    except Refused as error:
        return [f"(does not open: {error})".encode()]
    return plain.splitlines()


def _differences(entry: Json, slots: Sequence[Slot], opened: Mapping[str, list[bytes]]) -> Iterator[str]:
    """Between an entry and what the log held at its offsets."""
    if len(slots) != entry["next"] - entry["first"]:
        yield f"the log held {len(slots)} of its offsets"
        return
    expected: defaultdict[tuple[str | None, ...], list[bytes]] = defaultdict(list)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    days: dict[bytes, str] = {}
    for slot in slots:
        if slot.holds is not Holds.RECORD:
            continue
        fate = records.FATES[slot.kind]
        counts[fate.disposition][fate.reason] += 1
        if fate.workspace is not None:
            line = records.line_of(slot.kind, slot.offset, slot.value)
            expected[fate.workspace, fate.source, fate.disposition].append(line)
            if slot.timestamp_type == LOG_APPEND_TIME:
                days[line] = _day(slot.timestamp)
    if entry["counts"] != counts:
        yield f"it counts {entry['counts']}, the log held {dict(counts)}"
    found: defaultdict[tuple[str | None, ...], list[bytes]] = defaultdict(list)
    for stored in entry["objects"]:
        lines = opened[stored["key"]]
        group: tuple[str | None, ...] = (stored["workspace"], stored["source"], stored["disposition"])
        found[group] += lines
        place = {line: number for number, line in enumerate(expected[group])}
        if [*lines] != sorted(lines, key=lambda line: place.get(line, -1)):
            yield f"{stored['key']} is not in the log's order"
        if any(days.get(line, stored["day"]) != stored["day"] for line in lines):
            yield f"{stored['key']} holds records of another day"
    for group in expected.keys() | found.keys():
        if sorted(expected[group]) != sorted(found[group]):
            yield f"{group}: {found[group]} is archived, the log held {expected[group]}"


def _day(timestamp: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + timestamp // records.DAY).isoformat()


def _count(world: "World", entries: list[Json], log: Log, slots: Sequence[Slot]) -> None:
    """Which of the faults in what was produced came to an end in the ledger."""
    for entry in entries:
        held = slots[entry["first"] - log.base : entry["next"] - log.base]
        for slot in held:
            if slot.holds in (Holds.COMPACTED, Holds.ABORTED):
                world.counts[slot.holds.value] += 1
            elif slot.kind in ("poison", "oversized", "empty"):
                world.counts[slot.kind] += 1
            elif slot.kind == "cursed":
                world.counts["intake_error"] += 1
        world.counts["all_rejected"] += bool(entry["counts"]) and not entry["objects"]
        workspaces = Counter(stored["workspace"] for stored in entry["objects"])
        world.counts["whale_and_many"] += len(workspaces) > 5 and "whale" in workspaces


# -- requests, and the product's own auditor -----------------------------------------------------------------


def _check_requests(world: "World") -> None:
    """Invariant 8: a flush PUTs its objects and its entry; each request again only after it has failed."""
    uploads: Counter[str] = Counter()
    for worker in world.workers:
        for name, traffic in worker.traffic:
            uploads.update(_attempt(key) for key, _ in traffic.distinct if key.startswith("data/"))
            again = traffic.puts - len(traffic.distinct)
            if again > traffic.failed:
                world.violated("requests", f"{name} sent {again} PUTs again, and {traffic.failed} had failed")
    for key, stored in world.bucket.bodies.items():
        if key.startswith("ledger/"):
            entry = json.loads(stored.body or b"")
            if "objects" in entry and uploads[entry["attempt"]] != len(entry["objects"]):
                world.violated("requests", f"{key}: {uploads[entry['attempt']]} objects were sent for it")


def _attempt(key: str) -> str:
    return key.rpartition("-")[2].partition(".")[0]


async def _check_verify(world: "World") -> None:
    """Invariant 9: clean, or what was planted."""
    sources = Sources([world.store], SIGNER.trust)
    report = await Verifier(world.store, world.store, Retry(attempts=1), checkpoints=sources).run()
    found = Counter(finding.kind for finding in report.findings)
    deleted = {finding.where for finding in report.findings if finding.kind == "deleted_entry"}
    if deleted != world.deleted:
        world.violated("verify", f"deleted were {world.deleted}, it says {deleted}")
    if not world.deleted and found:
        world.violated("verify", f"it finds {[*report.findings][:3]}")
