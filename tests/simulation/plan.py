"""A plan: everything that a schedule is made of, as a value that a seed gives and that can be shrunk."""

import random

import msgspec

from tests.simulation import records
from tests.simulation.faults import FAULTS

CHAOS = 25.0  # seconds of virtual time in which things are produced and go wrong


class Produced(msgspec.Struct, frozen=True, omit_defaults=True):
    """Records appended to one partition at once."""

    at: float
    partition: int
    kinds: tuple[str, ...]  # of records.FATES; "-" is a compacted offset
    transaction: str = ""  # commit or abort, decided `lasts` seconds later
    lasts: float = 0.0
    broker_time: bool = True  # LogAppendTime


class Strike(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault. What `who` and `amount` mean, each fault says for itself."""

    at: float
    fault: str
    who: int = 0
    lasts: float = 0.0
    amount: int = 0


class Plan(msgspec.Struct, frozen=True):
    seed: int  # of everything that is not said here: delays, turns, who gets which partition
    writers: int
    partitions: int
    starts: tuple[int, ...]  # where each partition's log begins
    flush_bytes: int
    flush_interval: float  # seconds
    buffer_bytes: int
    drain: bool  # at the end the writers are stopped, instead of watched until they have flushed
    produced: tuple[Produced, ...]
    faults: tuple[Strike, ...]
    patience: float | None  # seconds at most until an operator acts on a halt; None: nobody does


def encode(plan: Plan) -> str:
    return msgspec.json.encode(plan).decode()


def decode(text: str | bytes) -> Plan:
    return msgspec.json.decode(text, type=Plan)


def planned(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan/{seed}")
    writers, partitions = rng.choice((2, 2, 3)), rng.choice((1, 1, 2, 3))
    kinds = _mixture(rng)
    produced = [_produce(rng, kinds, rng.randrange(partitions)) for _ in range(rng.randrange(4, 14))]
    if rng.random() < 0.15:
        produced.append(_rejected_range(rng, rng.randrange(partitions)))
    return Plan(
        seed=seed,
        writers=writers,
        partitions=partitions,
        starts=tuple(rng.choice((0, 0, 3, 1000)) for _ in range(partitions)),
        flush_bytes=rng.choice((300, 800, 2500, 20_000)),
        flush_interval=rng.choice((0.5, 1.5, 4.0)),
        buffer_bytes=rng.choice((2_000, 6_000, 100_000)),
        drain=rng.random() < 0.3,
        produced=tuple(sorted(produced, key=lambda each: each.at)),
        faults=tuple(
            sorted((*_strikes(rng, writers, partitions), *_consumers(seed)), key=lambda each: each.at)
        ),
        patience=rng.choice((None, 0.5, 3.0, 15.0)),
    )


def _mixture(rng: random.Random) -> list[str]:
    """Kinds of records to draw from."""
    kinds = [*records.ORDINARY, *rng.sample(sorted(records.FATES), 3)]
    if rng.random() < 0.1:
        kinds += [*records.ACCEPTED, *["whale"] * 20]
    return kinds


def _produce(rng: random.Random, kinds: list[str], partition: int) -> Produced:
    drawn = [rng.choice(kinds) for _ in range(rng.choice((1, 2, 3, 5, 8)))]
    if rng.random() < 0.15:
        drawn.insert(rng.randrange(len(drawn)), "-")
    return Produced(
        at=rng.uniform(0, CHAOS),
        partition=partition,
        kinds=tuple(drawn),
        transaction=rng.choice(("", "", "", "", "commit", "abort")),
        lasts=rng.uniform(0, 4),
        broker_time=rng.random() < 0.9,
    )


def _rejected_range(rng: random.Random, partition: int) -> Produced:
    """Long enough for a batch of its own."""
    kinds = tuple(rng.choice(records.REJECTED) for _ in range(12))
    return Produced(at=rng.uniform(0, CHAOS), partition=partition, kinds=kinds)


def _strikes(rng: random.Random, writers: int, partitions: int) -> list[Strike]:
    drawn = []
    often = [name for name, fault in FAULTS.items() if fault.weight]
    weights = [FAULTS[name].weight for name in often]
    for _ in range(rng.choice((0, 1, 2, 3, 4, 6, 9))):
        name = rng.choices(often, weights)[0]
        fault = FAULTS[name]
        at = rng.uniform(0, 1) if fault.early else rng.uniform(0.5, CHAOS)
        drawn.append(
            Strike(
                at=at,
                fault=name,
                who=rng.randrange(writers if fault.strikes_writer else partitions),
                lasts=rng.uniform(*fault.lasts),
                amount=rng.randrange(100),
            )
        )
    return drawn


def _consumers(seed: int) -> list[Strike]:
    """Drawn apart, so that plans without them are what they were before there were any."""
    rng = random.Random(f"consumers/{seed}")
    lasts = FAULTS["consume"].lasts
    return [
        Strike(
            at=rng.uniform(0.5, CHAOS),
            fault="consume",
            lasts=rng.uniform(*lasts),
            amount=rng.randrange(100),
        )
        for _ in range(rng.choice((0, 0, 0, 0, 1, 2)))
    ]
