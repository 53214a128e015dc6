"""The tables of planted faults: each with the kinds that an auditor must find, and no others."""

from collections.abc import Callable, Coroutine
from typing import Any

from tests.unit.ledger.audited import Archive

Plant = Callable[[Archive], Coroutine[Any, Any, None]]
SHALLOW: dict[str, tuple[Plant, set[str]]] = {}  # found without opening objects
DEEP: dict[str, tuple[Plant, set[str]]] = {}
VERSIONED: dict[str, tuple[Plant, set[str]]] = {}  # in a bucket with versions


def of(table: dict[str, tuple[Plant, set[str]]], *kinds: str) -> Callable[[Plant], Plant]:
    def enter(plant: Plant) -> Plant:
        table[plant.__name__] = plant, set(kinds)
        return plant

    return enter
