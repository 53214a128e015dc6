"""The tables of planted faults: each with the kinds that an auditor must find, and no others."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.unit.ledger.audited import Archive
from tests.unit.ledger.chained import Chained

Plant = Callable[[Archive], Coroutine[Any, Any, None]]
PlantInUnits = Callable[[Chained], Coroutine[Any, Any, None]]
P = TypeVar("P", Plant, PlantInUnits)
SHALLOW: dict[str, tuple[Plant, set[str]]] = {}  # found without opening objects
DEEP: dict[str, tuple[Plant, set[str]]] = {}
VERSIONED: dict[str, tuple[Plant, set[str]]] = {}  # in a bucket with versions
UNITS: dict[str, tuple[PlantInUnits, set[str]]] = {}  # the same for unit chains
UNITS_DEEP: dict[str, tuple[PlantInUnits, set[str]]] = {}
UNITS_VERSIONED: dict[str, tuple[PlantInUnits, set[str]]] = {}


def of(table: dict[str, tuple[P, set[str]]], *kinds: str) -> Callable[[P], P]:
    def enter(plant: P) -> P:
        table[plant.__name__] = plant, set(kinds)
        return plant

    return enter
