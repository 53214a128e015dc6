"""Deliberate defects in what consumes stored records, and in what sweeps its outputs; see defects.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from unittest import mock

from workers.ledger import chain, orphans, unit_chain
from workers.ledger.chain import Appended
from workers.ledger.orphans import Kind
from workers.ledger.unit_chain import Draft, Taken, UnitHead
from workers.ledger.unit_places import Standing
from workers.store.port import IF_ABSENT, PreconditionFailed, Store
from workers.store.retry import Retry

Ours = Callable[[bytes], bool]


@contextmanager
def consume_without_reading_the_winner() -> Iterator[None]:
    """Whoever finds the place taken puts the same plan behind it, whatever was consumed there."""
    append = unit_chain.append

    async def careless(store: Store, at: UnitHead, draft: Draft, retry: Retry) -> UnitHead:
        while True:
            try:
                return await append(store, at, draft, retry)
            except Taken as taken:
                at = taken.head

    def unchecked(*args: Any) -> None:
        """The product would notice before it commits."""

    with mock.patch.object(unit_chain, "append", careless), mock.patch.object(unit_chain, "check", unchecked):
        yield


@contextmanager
def believe_that_it_was_consumed() -> Iterator[None]:
    """A 412 is taken for our own unit entry whose answer was lost, and nobody looks."""

    async def believing(store: Store, key: str, body: bytes, *, ours: Ours, retry: Retry) -> Appended:
        async def attempt() -> Appended:
            with suppress(PreconditionFailed):
                await store.put(key, body, condition=IF_ABSENT)
            return Appended(True, body)

        return await retry.call(attempt)

    with mock.patch.object(chain, "append", believing):  # which only unit chains reach by the module
        yield


@contextmanager
def sweep_what_may_be_listed() -> Iterator[None]:
    """An output is deleted, though the place of the entry that it is meant for is free."""
    with mock.patch.dict(orphans.KIND_OF_OUTPUT, {Standing.FREE: Kind.ORPHAN}):
        yield


DEFECTS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    consume_without_reading_the_winner,
    believe_that_it_was_consumed,
    sweep_what_may_be_listed,
)
