"""Deliberate defects in what puts losses on record, and in what sweeps orphans; see defects.py."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from msgspec import structs

from workers.ledger import acknowledge, losses, orphans, succession
from workers.ledger.chain import Appended
from workers.ledger.entries import Closing
from workers.ledger.losses import Loss
from workers.ledger.orphans import Kind, State
from workers.store.port import Store
from workers.store.retry import Retry

Ours = Callable[[bytes], bool]


@contextmanager
def sweep_what_may_commit() -> Iterator[None]:
    """What no entry lists is deleted, though its attempt is still under way."""
    with mock.patch.dict(orphans.KIND_OF, {State.FREE: Kind.ORPHAN}):
        yield


@contextmanager
def close_unconditionally() -> Iterator[None]:
    """A closing is written without If-None-Match: over whatever a writer, or another operator, put there."""

    async def put(store: Store, key: str, body: bytes, *, ours: Ours, retry: Retry) -> Appended:
        await retry.call(lambda: store.put(key, body))
        return Appended(True, body)

    with mock.patch.object(acknowledge, "append", put):
        yield


@contextmanager
def close_beside_the_chain() -> Iterator[None]:
    """The closing leaves the place of the next entry free: a writer that wakes up later is not fenced."""
    closing = acknowledge._closing

    def beside(loss: Loss, *args: Any) -> Closing:
        return closing(loss._replace(place=loss.place + 1), *args)

    with mock.patch.object(acknowledge, "_closing", beside):
        yield


@contextmanager
def lose_without_a_count() -> Iterator[None]:
    """A closing says that nothing is lost."""
    closing = acknowledge._closing

    def silent(*args: Any) -> Closing:
        return structs.replace(closing(*args), lost=0)

    with mock.patch.object(acknowledge, "_closing", silent):
        yield


@contextmanager
def go_on_at_the_end() -> Iterator[None]:
    """Behind a loss the archive goes on at the log's end, and leaves out what the log still has."""
    own = losses._own

    async def skipping(*args: Any) -> Loss:
        loss = await own(*args)
        return loss._replace(opens=structs.replace(loss.opens, first=loss.log[1]))

    with mock.patch.object(losses, "_own", skipping):
        yield


@contextmanager
def go_on_at_the_head() -> Iterator[None]:
    """Where the log is another one behind a cut, the archive goes on at its own head all the same."""

    async def at_the_head(store: Store, found: Any, *args: Any) -> int:
        head: int = found.head
        return head

    with mock.patch.object(losses, "_same_until", at_the_head):
        yield


@contextmanager
def pass_over_other_topics() -> Iterator[None]:
    """A topic made anew is archived as if there had never been another of its name."""

    async def none(*args: Any) -> None:
        return

    with mock.patch.object(succession, "_check_others", none):
        yield


DEFECTS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    sweep_what_may_commit,
    close_unconditionally,
    close_beside_the_chain,
    lose_without_a_count,
    go_on_at_the_end,
    go_on_at_the_head,
    pass_over_other_topics,
)
