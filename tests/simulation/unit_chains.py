"""What must hold of unit chains after every schedule: by the bucket alone, a record ends in one place."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.world import World

Json = dict[str, Any]
UNIT = ("workspace", "source", "day", "clock")
Line = tuple[str, int]  # of an object, and its number in it


def check(world: "World", opened: Callable[[Json], list[bytes]]) -> None:
    """Adds what is violated. `opened`: the lines of what an entry lists, whatever was deleted since."""
    for key, attempt in world.consumers.committed:
        stored = world.bucket.bodies.get(key)
        if stored is None or json.loads(stored.body or b"")["attempt"] != attempt:
            world.violated("consumed", f"{key} is not what its writer was told that it is")
    chains = _chains(world)
    for entries in chains.values():
        _check_links(world, entries)
    if world.deleted:
        return  # what deleted entries listed is not known any more
    listed = _listed(world, chains)
    lines = {key: opened(stored) for key, stored in listed.items()}
    gone: set[Line] = set()
    ended: list[bytes] = []
    for entries in chains.values():
        for key, entry in entries:
            ended += _consume(world, key, entry, listed, lines, gone)
    _check_one_place(world, lines, gone, ended)


def outputs(world: "World") -> set[str]:
    """The keys of what unit entries list."""
    entries = [entry for chain in _chains(world).values() for _, entry in chain]
    return {stored["key"] for entry in entries for stored in entry["outputs"]}


def is_pending(world: "World", key: str) -> bool:
    """Whether an output may yet be listed: the place of the entry that it is meant for is free."""
    _, _, _, day, _, name = key.split("/")
    workspace, source, clock, seq = name.removeprefix("from=").split(".")[:4]
    return f"units/v1/ws={workspace}/src={source}/{day}/clock={clock}/{seq}.json" not in world.bucket.bodies


def _chains(world: "World") -> Mapping[str, Sequence[tuple[str, Json]]]:
    """By their prefixes: all entries that were ever written, in order, each with its key."""
    chains: defaultdict[str, list[tuple[str, Json]]] = defaultdict(list)
    for key in sorted(key for key in world.bucket.bodies if key.startswith("units/")):
        chains[key.rpartition("/")[0]].append((key, json.loads(world.bucket.bodies[key].body or b"")))
    return chains


def _check_links(world: "World", entries: Iterable[tuple[str, Json]]) -> None:
    before = None
    for seq, (key, entry) in enumerate(entries, 1):
        if entry["seq"] != seq or not key.endswith(f"/{seq:08d}.json"):
            world.violated("unit_hole", f"{key}: {seq} was due")
        if entry["previous"] != before:
            world.violated("unit_link", f"{key} does not follow the entry before it")
        before = hashlib.sha256(world.bucket.bodies[key].body or b"").hexdigest()


def _listed(world: "World", chains: Mapping[str, Sequence[tuple[str, Json]]]) -> dict[str, Json]:
    """Everything that an entry of any kind lists, by key."""
    bodies = [stored.body for key, stored in world.bucket.bodies.items() if key.startswith("ledger/")]
    found = {each["key"]: each for body in bodies for each in json.loads(body or b"").get("objects", ())}
    for entries in chains.values():
        found |= {each["key"]: each for _, entry in entries for each in entry["outputs"]}
    return found


def _consume(
    world: "World",
    key: str,
    entry: Json,
    listed: Mapping[str, Json],
    lines: Mapping[str, list[bytes]],
    gone: set[Line],
) -> list[bytes]:
    """Takes what the entry consumes, once and from its own unit; the lines that are in no output of it."""
    taken: list[bytes] = []
    for consumed in entry["consumed"]:
        of = consumed["key"]
        if of not in listed or any(listed[of][name] != entry[name] for name in UNIT):
            world.violated("consumed", f"{key} consumes {of}, which its unit never had")
            continue
        ranges = consumed["records"]
        numbers = [line for first, last in ranges or () for line in range(first, last + 1)]
        if ranges is None:
            numbers = [line for line in range(len(lines[of])) if (of, line) not in gone]
        if len(numbers) != consumed["count"] or any(line >= len(lines[of]) for line in numbers):
            world.violated("consumed", f"{key} consumes {consumed}, there are {len(lines[of])}")
            continue
        if again := {(of, line) for line in numbers} & gone:
            world.violated("consumed", f"{key} consumes {sorted(again)} again")
        gone |= {(of, line) for line in numbers}
        taken += [lines[of][line] for line in numbers]
    left = Counter(line for stored in entry["outputs"] for line in lines[stored["key"]])
    if left - Counter(taken):
        world.violated("consumed", f"the outputs of {key} hold what it did not consume")
    if left and Counter(taken) - left:
        world.violated("consumed", f"the outputs of {key} lack what it consumed")
    return [] if left else taken


def _check_one_place(
    world: "World",
    lines: Mapping[str, list[bytes]],
    gone: set[Line],
    ended: Sequence[bytes],
) -> None:
    """What intake stored is what is live and what was given up: no record more, none less."""
    moved = outputs(world)
    stored = Counter(line for key, held in lines.items() if key not in moved for line in held)
    live = Counter(
        line for key, held in lines.items() for at, line in enumerate(held) if (key, at) not in gone
    )
    places = live + Counter(ended)
    if places != stored:
        world.violated("one_place", f"lost {[*(stored - places)][:3]}, doubled {[*(places - stored)][:3]}")
