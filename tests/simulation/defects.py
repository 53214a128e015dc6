"""Deliberate defects in the product's own code, each of which the simulation must find.

Each is a context manager that replaces a real function of the product, and nothing of the simulation.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any
from unittest import mock

from tests.simulation.loop import PROCESS
from workers.intake.batch import Batch
from workers.ledger import assign, chain, flush, head
from workers.ledger.chain import Appended, append
from workers.ledger.entries import FIRST_INCARNATION
from workers.ledger.flush import Commit, Flusher
from workers.ledger.head import Head, Hint, after_genesis
from workers.ledger.names import ChainId
from workers.ledger.partition import Partition
from workers.ledger.succession import LogId
from workers.ledger.upload import Made, Upload, upload_of
from workers.roles.owner import Owner
from workers.store.port import IF_ABSENT, Denied, PreconditionFailed, Store
from workers.store.retry import Retry

Ours = Callable[[bytes], bool]


@contextmanager
def append_unconditionally() -> Iterator[None]:
    """Chains are written without If-None-Match: the last writer wins."""
    with mock.patch.object(chain, "IF_ABSENT", None):
        yield


@contextmanager
def believe_a_412() -> Iterator[None]:
    """A 412 is taken for our own write whose answer was lost, and nobody looks."""

    async def believing(store: Store, key: str, body: bytes, *, ours: Ours, retry: Retry) -> Appended:
        async def attempt() -> Appended:
            with suppress(PreconditionFailed):
                await store.put(key, body, condition=IF_ABSENT)
            return Appended(True, body)

        return await retry.call(attempt)

    with mock.patch.object(flush, "append", believing):
        yield


@contextmanager
def advance_after_anothers_entry() -> Iterator[None]:
    """The entry of another writer was found in our place; we go on behind our own batch all the same."""

    async def going_on(store: Store, key: str, body: bytes, *, ours: Ours, retry: Retry) -> Appended:
        await append(store, key, body, ours=ours, retry=retry)
        return Appended(True, body)

    with mock.patch.object(flush, "append", going_on):
        yield


@contextmanager
def hint_before_the_ledger() -> Iterator[None]:
    """Kafka's offset follows what was fetched, not what is committed."""

    async def early(owner: Owner) -> None:
        hints = {number: (partition.batch.next, "") for number, partition in owner.partitions.items()}
        if hints and owner.stream is not None:
            await owner.stream.commit_hint(hints)

    with mock.patch.object(Owner, "_leave_hints", early):
        yield


@contextmanager
def seek_to_kafkas_offset() -> Iterator[None]:
    """A claimed partition goes on at the group's offset instead of the ledger's head."""
    claim_one = Owner._claim_one

    async def by_the_group(owner: Owner, number: int) -> int | None:
        place = await claim_one(owner, number)
        stream: Any = owner.stream
        found: Mapping[int, tuple[int, str]] = {} if place is None else await stream.hints([number])
        if number not in found or number not in owner._owned:
            return place
        offset = found[number][0]
        owner._owned[number] = Partition(owner._owned[number].head._replace(next=offset), owner._flusher)
        return offset

    with mock.patch.object(Owner, "_claim_one", by_the_group):
        yield


@contextmanager
def entry_before_the_previous() -> Iterator[None]:
    """An entry is sent as soon as its objects are there, whatever becomes of the entry before it."""

    async def unconfirmed(partition: Partition, flight: asyncio.Task[Commit] | None) -> Head:
        batch = partition._in_flight.get(flight) if flight is not None else None
        return partition.head if batch is None else partition.head._replace(next=batch.next)

    with mock.patch.object(Partition, "_head_after", unconfirmed):
        yield


@contextmanager
def miss_gaps() -> Iterator[None]:
    """Offsets without a record are counted nowhere."""
    with mock.patch.object(Batch, "gaps", 0):
        yield


@contextmanager
def keep_the_batch() -> Iterator[None]:
    """What was sorted before a revocation is not dropped, and goes into the next claim's first batch."""
    kept: dict[tuple[int, int], Batch] = {}
    drop, init = Partition.drop, Partition.__init__

    async def keeping(partition: Partition) -> int:
        if not partition.batch.empty:
            kept[id(partition._flusher), partition.number] = partition.batch
        return await drop(partition)

    def again(partition: Partition, at: Head, flusher: Flusher) -> None:
        init(partition, at, flusher)
        before = kept.pop((id(flusher), partition.number), None)
        if before is not None:
            partition.batch.sorting = before.sorting

    with mock.patch.object(Partition, "drop", keeping), mock.patch.object(Partition, "__init__", again):
        yield


@contextmanager
def no_anchor_check() -> Iterator[None]:
    """The last archived record is not looked at again: a log that was cut and grew passes for the same."""
    check_log = assign.check_log

    async def blind(at: Head, *args: Any) -> None:
        await check_log(at._replace(anchor=None), *args)

    with mock.patch.object(assign, "check_log", blind):
        yield


@contextmanager
def own_genesis() -> Iterator[None]:
    """Who loses the race to open a chain goes on from the genesis that it would have written."""

    written: dict[str, bytes] = {}  # by the process and the name
    open_chain = assign._open

    async def noted(store: Store, key: str, body: bytes, *, ours: Ours, retry: Retry) -> Appended:
        written[f"{PROCESS.get()}{key}"] = body
        return await append(store, key, body, ours=ours, retry=retry)

    async def mine(store: Store, log_id: LogId, *args: Any) -> Head:
        await open_chain(store, log_id, *args)
        at = log_id.chain(FIRST_INCARNATION)
        return after_genesis(at, written[f"{PROCESS.get()}{at.genesis}"])

    with mock.patch.object(assign, "append", noted), mock.patch.object(assign, "_open", mine):
        yield


@contextmanager
def seal_again() -> Iterator[None]:
    """An upload that is tried again is sealed again, and whatever holds the name is taken for it."""

    async def upload(flusher: Flusher, planned: Sequence[Any], done: dict[int, Upload]) -> None:
        for each in planned:
            async with flusher.uploads:
                made = await flusher.retry.call(partial(once, flusher, each))
            done[each.number] = upload_of(each.group, each.key, len(each.lines), made)

    async def once(flusher: Flusher, each: Any) -> Made:
        (made,) = await flusher._made([each])
        with suppress(PreconditionFailed):
            await flusher.data.put(
                each.key, made.sealed.body, condition=IF_ABSENT, metadata=made.sealed.metadata
            )
        return made

    with mock.patch.object(Flusher, "_upload", upload):
        yield


@contextmanager
def skip_what_is_denied() -> Iterator[None]:
    """A 403 is logged and forgotten, instead of waited out."""
    put = Flusher._put

    async def skipping(flusher: Flusher, key: str, sealed: Any) -> None:
        try:
            await put(flusher, key, sealed)
        except Denied:
            return

    with mock.patch.object(Flusher, "_put", skipping):
        yield


@contextmanager
def trust_a_bare_hint() -> Iterator[None]:
    """Where the hint names no entry, its offset is believed nevertheless."""
    hinted = head._hinted

    async def trusting(store: Store, at: ChainId, hint: Hint, retry: Retry) -> Head | None:
        found = await hinted(store, at, hint, retry)
        return found or Head(at, None, hint.first, hint.digest, None)

    with mock.patch.object(head, "_hinted", trusting):
        yield


DEFECTS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    append_unconditionally,
    believe_a_412,
    advance_after_anothers_entry,
    hint_before_the_ledger,
    seek_to_kafkas_offset,
    entry_before_the_previous,
    miss_gaps,
    keep_the_batch,
    no_anchor_check,
    own_genesis,
    seal_again,
    skip_what_is_denied,
    trust_a_bare_hint,
)
