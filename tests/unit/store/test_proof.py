"""The start-up proof refuses stores that break the promise, and survives the faults of those that keep it."""

import asyncio
from collections.abc import Mapping

import pytest

from workers.errors import Fatal, StrongroomError
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import (
    NO_METADATA,
    Condition,
    Denied,
    IfAbsent,
    IfMatch,
    PreconditionFailed,
    Unavailable,
)
from workers.store.proof import prove


class Ignoring(MemoryStore):
    """Takes one kind of condition and does not look at it."""

    def __init__(self, ignored: type[Condition]) -> None:
        super().__init__("ignoring")
        self._ignored = ignored

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        return await super().put(
            key,
            body,
            condition=None if isinstance(condition, self._ignored) else condition,
            metadata=metadata,
        )


class Racing(MemoryStore):
    """Looks first and writes later: honest to one writer, not to two at once."""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        free = not [stat async for stat in self.list(key)]
        await asyncio.sleep(0)
        if isinstance(condition, IfAbsent) and not free:
            raise PreconditionFailed("taken")
        return await super().put(key, body)


class Refusing(MemoryStore):
    """Refuses every conditional write."""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        raise PreconditionFailed("no")


class Forgetful(MemoryStore):
    """Says that it wrote what it did not."""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        return await super().put(key, b"something else", condition=condition)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (Ignoring(IfAbsent), "ignoring does not honour If-None-Match: 16 of 16"),
        (Ignoring(IfMatch), "ignoring does not honour If-Match: 16 of 16"),
        (Racing(), "memory does not honour If-None-Match: 16 of 16"),
        (Refusing(), "memory does not honour If-None-Match: none of 16"),
        (Forgetful(), "memory does not honour If-None-Match: the writer that was told it won"),
    ],
    ids=["ignores If-None-Match", "ignores If-Match", "races", "refuses", "forgets"],
)
async def test_a_store_that_breaks_the_promise_is_refused(store: MemoryStore, said: str) -> None:
    with pytest.raises(Fatal, match=said) as raised:
        await prove(store)
    assert "use AWS S3" in raised.value.remedy
    assert [stat async for stat in store.list("")] == []


@pytest.mark.parametrize("versioned", [False, True])
async def test_an_honest_store_passes_and_keeps_nothing(versioned: bool) -> None:
    store = MemoryStore(versioned=versioned)
    await prove(store)
    assert [stat async for stat in store.list("")] == []


@pytest.mark.parametrize(
    "fault", [Fault.LOST_RESPONSE, Fault.OWN_WRITE_REFUSED, Fault.CONFLICT, Fault.SLOW_DOWN]
)
@pytest.mark.parametrize("times", [1, 16, 17])
async def test_an_honest_store_passes_through_faults(fault: Fault, times: int) -> None:
    store = MemoryStore()
    store.faults.add(fault, operation="put", times=times)
    await prove(store)


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.DENIED, Denied), (Fault.UNAVAILABLE, Unavailable), (Fault.TIMED_OUT, Unavailable)],
)
async def test_a_store_without_access_or_answer_is_not_called_dishonest(
    fault: Fault, error: type[StrongroomError]
) -> None:
    store = MemoryStore()
    store.faults.add(fault, operation="put", times=None)
    with pytest.raises(error):
        await prove(store)


async def test_a_role_that_may_not_delete_may_work() -> None:
    store = MemoryStore()
    store.faults.add(Fault.DENIED, operation="delete", times=None)
    await prove(store)
    assert len([stat async for stat in store.list("probe/")]) == 1


async def test_a_role_that_may_not_list_is_refused() -> None:
    store = MemoryStore()
    store.faults.add(Fault.DENIED, operation="get")  # S3's answer to a missing name, without s3:ListBucket
    with pytest.raises(Denied) as denied:
        await prove(store)
    assert "s3:ListBucket" in denied.value.remedy
    assert store.requests["put"] == 0
