"""What operators put on record, held against what was really lost, and what was really archived twice."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.simulation.kafka import Holds, Log, Slot
from workers.ledger import entries
from workers.ledger.entries import Closing
from workers.ledger.names import ChainId

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]


def check(world: "World", archived: Mapping[ChainId, Sequence[Slot]]) -> None:
    """`archived`: what the entries of each chain hold, gaps too, as the log had it."""
    for chain in sorted(world.bucket.chains):
        _check_opening(world, chain)
        closing = closing_of(world, chain)
        if closing is not None:
            _check_closing(world, chain, closing)
    logs = dict([(world.topic.topic_id, world.topic.logs), *world.topic.former])
    for topic_id, partitions in logs.items():
        for partition, log in enumerate(partitions):
            chains = _chains(world, topic_id, partition)
            if chains and not any(chain.prefix in key for key in world.deleted for chain in chains):
                _check_lost(world, log, chains, archived)
                _check_repeated(world, log, chains, archived)


def closing_of(world: "World", chain: ChainId) -> Json | None:
    place = world.bucket.closings.get(chain)
    if place is None:
        return None
    closing: Json = json.loads(world.bucket.bodies[chain.entry(place)].body or b"")
    return closing


def _chains(world: "World", topic_id: str, partition: int) -> list[ChainId]:
    """By incarnation."""
    chains = world.bucket.chains
    return sorted(chain for chain in chains if (chain.topic_id, chain.partition) == (topic_id, partition))


# -- how chains follow one another ---------------------------------------------------------------------------


def _check_opening(world: "World", chain: ChainId) -> None:
    """A chain that is not the first is opened by the closing of the one before, and as that says."""
    genesis = json.loads(world.bucket.bodies[chain.genesis].body or b"")
    after = genesis.get("after")
    if after is not None:
        before = chain._replace(topic_id=after["topic_id"], incarnation=after["incarnation"])
        place = world.bucket.closings.get(before)
        body = None if place is None else world.bucket.bodies[before.entry(place)].body
        if body is None or hashlib.sha256(body).hexdigest() != after["closing"]:
            world.violated("opening", f"{chain.genesis} names a closing that is not there")
        elif world.bucket.bodies[chain.genesis].body != _opening(body, chain):
            world.violated("opening", f"{chain.genesis} is not what its closing calls for")
        return
    if chain.incarnation > 1:
        world.violated("opening", f"{chain.genesis} names no closing")
    former = [topic_id for topic_id, _ in world.topic.former]
    older = former[: former.index(chain.topic_id)] if chain.topic_id in former else former
    for topic_id in older:
        first = chain._replace(topic_id=topic_id).genesis
        if first in world.known_at_recreation[chain.topic_id]:
            world.violated("opening", f"{chain.genesis} passes over the chain of {first}")


def _opening(closing: bytes, chain: ChainId) -> bytes:
    digest = hashlib.sha256(closing).hexdigest()
    return entries.encode(entries.opening(entries.decode(Closing, closing, chain.genesis), digest))


def _check_closing(world: "World", chain: ChainId, closing: Json) -> None:
    """It lies at the end, and says how much is lost."""
    where = chain.entry(closing["first"])
    behind = [first for first in world.bucket.chains[chain] if first >= closing["first"]]
    if behind:
        world.violated("closing", f"{where} is followed by {behind}")
    if any(chain.prefix in key for key in world.deleted):
        return  # what it found is not what was written
    if closing["first"] != closing["head"] or closing["head"] != world.bucket.head(chain):
        world.violated("closing", f"{where} says that the head is {closing['head']}")
    opens = closing["opens"]
    if closing["lost"] is not None and opens["topic_id"] == chain.topic_id:
        missing = max(0, opens["first"] - closing["head"])
        if closing["lost"] != missing:
            world.violated("closing", f"{where} says that {closing['lost']} are lost, it is {missing}")
    if not (closing["reason"] and closing["actor"] and closing["host"]):
        world.violated("closing", f"{where} does not say who did it, where and why")


# -- what became of each record ------------------------------------------------------------------------------


def _check_lost(
    world: "World", log: Log, chains: Sequence[ChainId], archived: Mapping[ChainId, Sequence[Slot]]
) -> None:
    """Every record behind the first chain's beginning is archived, or a closing says that it is not."""
    if world.may_halt[chains[0].topic_id, chains[0].partition]:
        return  # a loss that nobody has put on record yet
    closings = _closings(world, chains)
    held = {slot.number for chain in chains for slot in archived[chain]}
    begins, head = world.bucket.chains[chains[0]][-1], world.bucket.head(chains[-1])
    reached = log.end if len(closings) == len(chains) or head is None else head
    for slot in log.slots:
        if slot.holds is not Holds.RECORD or not begins <= slot.offset < reached or slot.number in held:
            continue
        if not any(_says_lost(closing, slot) for closing in closings):
            world.violated("lost", f"{chains[-1].prefix}: {slot.offset} is archived nowhere, on no record")


def _check_repeated(
    world: "World", log: Log, chains: Sequence[ChainId], archived: Mapping[ChainId, Sequence[Slot]]
) -> None:
    """No record is archived once more than closings admit."""
    closings = _closings(world, chains)
    copies = Counter(
        slot.number for chain in chains for slot in archived[chain] if slot.holds is Holds.RECORD
    )
    for slot in _every(log):
        admitted = sum(_says_repeated(closing, slot) for closing in closings)
        if copies[slot.number] > 1 + admitted:
            times = copies[slot.number]
            world.violated("repeated", f"{chains[-1].prefix}: {slot.offset} is archived {times} times")
    admits = [closing["repeats"] for closing in closings]
    if None not in admits and copies.total() - len(copies) > sum(admits):
        world.violated("repeated", f"{chains[-1].prefix}: {copies.total() - len(copies)}, admitted: {admits}")


def _closings(world: "World", chains: Sequence[ChainId]) -> list[Json]:
    return [closing for chain in chains if (closing := closing_of(world, chain)) is not None]


def _every(log: Log) -> Iterator[Slot]:
    """Every record that the log ever held, once."""
    seen: set[int] = set()
    for slots in (*log.versions, log.slots):
        for slot in slots:
            if slot.holds is Holds.RECORD and slot.number not in seen:
                seen.add(slot.number)
                yield slot


def _says_lost(closing: Json, slot: Slot) -> bool:
    opens, head = closing["opens"], closing["head"]
    goes_on = opens["first"] if opens["topic_id"] == closing["topic_id"] else None
    return bool(head <= slot.offset and (goes_on is None or slot.offset < goes_on))


def _says_repeated(closing: Json, slot: Slot) -> bool:
    first = closing["opens"]["first"]
    return closing["repeats"] is None or bool(first <= slot.offset < closing["head"])
