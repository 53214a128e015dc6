"""Tasks share the work out: a worker obeys its own plan, and touches nothing without leave."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.unit.retention.making import unit, workspace
from tests.unit.retention.test_agent import agent_of
from tests.unit.retention.world import World, group
from topics import retention_tasks
from workers.retention.due import Reason
from workers.roles.retain_tasks import TaskOwner
from workers.stream.chunk import Chunk, Run

GONE = unit(40)


@dataclass
class Kafka:
    """The topic, as far as a worker sees it."""

    sent: list[bytes] = field(default_factory=list)
    committed: dict[int, int] = field(default_factory=dict)
    end: int = 7

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> None:
        self.sent.append(value)

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        self.committed.update({partition: offset for partition, (offset, _) in hints.items()})
        return True

    async def hints(self, partitions: frozenset[int]) -> dict[int, tuple[int, str]]:
        return {
            partition: (self.committed[partition], "") for partition in partitions & self.committed.keys()
        }

    async def bounds(self, topic: str, partitions: frozenset[int]) -> dict[int, tuple[int, int]]:
        return dict.fromkeys(partitions, (2, self.end))


async def owner_of(*, delete: bool) -> tuple[World, Kafka, TaskOwner]:
    found, kafka = World({"acme": workspace(retention_days=30)}), Kafka()
    await found.commit({group(GONE): [b"{}"]})
    owner = TaskOwner(
        agent_of(found), kafka, kafka, "retention-tasks",
        interval=1.0, concurrency=2, delete=delete, stale=lambda: False, now=lambda: found.now,
        hold=lambda cause, why: lambda: None,
    )  # fmt: skip
    owner.stream = kafka
    return found, kafka, owner


def chunk(*values: bytes | None) -> Chunk:
    offsets = range(7, 7 + len(values))
    return Chunk(0, offsets.start, offsets.stop, [Run(offsets, None, values)])


async def test_who_has_the_first_partition_sends_the_tasks_and_anybody_works_them_off() -> None:
    found, kafka, owner = await owner_of(delete=True)
    await owner.plan()
    assert kafka.sent == []
    assert await owner.claim(frozenset({0})) == {0: 7}
    await owner.plan()
    (task,) = kafka.sent
    assert retention_tasks.codec.decode(task).reason == Reason.RETENTION
    await owner.take(chunk(task, task, b"garbage", None))
    assert await found.pending(GONE) == "disabled"
    assert kafka.committed == {0: 11}
    assert not owner.busy


@pytest.mark.parametrize("offset", [1, 5, 9])
async def test_it_goes_on_where_the_group_stood_if_the_log_has_it(offset: int) -> None:
    _, kafka, owner = await owner_of(delete=True)
    kafka.committed[3] = offset
    assert await owner.claim(frozenset({3})) == {3: 5 if offset == 5 else 7}


async def test_without_leave_it_plans_and_touches_nothing() -> None:
    found, kafka, owner = await owner_of(delete=False)
    await owner.claim(frozenset({0}))
    await owner.plan()
    assert owner.planned
    assert kafka.sent == []
    task = retention_tasks.RetentionTask(**GONE._asdict(), reason="retention")
    before = found.ledger.requests["put"], found.keys.requests["put"]
    await owner.take(chunk(retention_tasks.codec.encode(task)))
    assert (found.ledger.requests["put"], found.keys.requests["put"]) == before


async def test_a_broken_ledger_is_told_and_leaves_the_worker_alive() -> None:
    found, kafka, owner = await owner_of(delete=True)
    await owner.claim(frozenset({0}))
    await found.ledger.put("retention/v1/approvals/acme.json", b"garbage")
    await owner.plan()
    assert not owner.planned
    assert kafka.sent == []
