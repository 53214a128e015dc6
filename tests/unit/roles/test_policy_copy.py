"""The worker's copy says that something was applied, whatever it was, how late, and up to where of a log."""

import asyncio
from time import monotonic

import pytest
from structlog.testing import capture_logs

from tests.unit.intake.making import key_record, workspace_record
from topics import workspaces, write_keys
from topics.policy_applied import Applied
from topics.write_keys import KeyState
from workers.errors import Fatal, Retryable
from workers.intake.policy import Policy
from workers.observe import metrics
from workers.roles.policy_copy import PolicyCopy
from workers.stream.connection import KafkaConnection

NOW = 1_000_000  # ms


def copy_of(policy: Policy) -> PolicyCopy:
    return PolicyCopy(KafkaConnection("127.0.0.1:1"), "eu.", policy, stale_after=5.0, now=lambda: NOW)


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_each_applied_record_is_told_of_even_one_that_is_kept_out() -> None:
    copy = copy_of(Policy())
    for reader in copy.readers.values():
        copy.changed.clear()
        reader._apply(b"k", b"garbage")
        assert copy.changed.is_set()


async def test_before_it_is_loaded_nothing_is_applied() -> None:
    copy = copy_of(Policy())
    assert copy.applied() == (
        Applied(topic="write-keys", topic_id="", version=()),
        Applied(topic="workspaces", topic_id="", version=()),
        Applied(topic="origin-verdicts", topic_id="", version=()),
    )
    assert copy.stale()
    assert copy.verdicts_stale()


async def test_verdicts_are_waited_for_by_nobody_and_who_decides_knows_how_old_they_are() -> None:
    policy = Policy()
    copy = copy_of(policy)
    assert policy.verdicts_stale()
    for reader in copy.readers.values():
        reader._fresh_at = monotonic()
    with capture_logs() as logged:
        for age, stale in ((0, False), (6, True), (6, True), (0, False)):
            copy.readers["origin-verdicts"]._fresh_at = monotonic() - age
            assert (copy.stale(), policy.verdicts_stale()) == (False, stale)
    assert [(line["event"], line["stale"]) for line in logged] == [
        ("verdicts_stale", False),  # it is loaded
        ("verdicts_stale", True),
        ("verdicts_stale", False),
    ]


@pytest.mark.parametrize(("value", "cause"), [(b"garbage", "unreadable"), (None, "tombstone")])
async def test_what_is_kept_out_is_counted_and_named_by_its_place_alone(
    value: bytes | None, cause: str
) -> None:
    policy = Policy()
    copy = copy_of(policy)
    copy.readers[write_keys.NAME]._apply(b"known", key_record(state=KeyState.REVOKED))
    copy.readers[workspaces.NAME]._apply(b"acme", workspace_record())
    for topic, reader in copy.readers.items():
        before = sample("strongroom_policy_kept_out_total", topic=topic, cause=cause)
        reader.place = (3, 17)
        with capture_logs() as logged:
            reader._apply(b"known", value)
        assert sample("strongroom_policy_kept_out_total", topic=topic, cause=cause) == before + 1
        assert logged == [
            {
                "event": "policy_record_kept_out",
                "log_level": "warning",
                "topic": topic,
                "cause": cause,
                "partition": 3,
                "offset": 17,
            }
        ]
    known = policy.write_key("known")
    assert known is not None
    assert known.state is KeyState.REVOKED
    assert policy.workspace("acme") is not None


@pytest.mark.parametrize(("written", "bound"), [(NOW - 700, "1.0"), (NOW - 30, "0.05"), (NOW + 50, "0.01")])
async def test_how_late_a_change_was_applied_is_exported(written: int, bound: str) -> None:
    """A publisher whose clock is ahead counts as prompt."""
    bounds = ["0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.0"]

    def counts() -> list[float]:
        return [
            sample("strongroom_policy_delay_seconds_bucket", topic=write_keys.NAME, le=each)
            for each in bounds
        ]

    before = counts()
    copy_of(Policy()).readers[write_keys.NAME]._followed(written)
    more = [after - earlier for earlier, after in zip(before, counts(), strict=True)]
    assert more == [float(each >= bounds.index(bound)) for each in range(len(bounds))]


class Reader:
    """Of one topic, as a copy sees one."""

    def __init__(self, failing: Exception | None = None, slow: bool = False) -> None:
        self.failing, self.slow = failing, slow
        self.following = False

    async def start(self) -> None:
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        if self.slow:
            await asyncio.sleep(0.05)
        self.following = True

    async def stop(self) -> None:
        self.following = False

    async def failure(self) -> None:
        if self.failing is not None:
            raise self.failing
        await asyncio.Event().wait()


def copy_with(**readers: Reader) -> PolicyCopy:
    copy = copy_of(Policy())
    copy.readers.update(dict(zip(copy.readers, readers.values(), strict=True)))  # type: ignore[arg-type]  # readers of the test's own
    return copy


async def test_once_one_topic_can_not_be_read_no_reader_begins_to_follow_behind_the_stop() -> None:
    readers = {"keys": Reader(slow=True), "workspaces": Reader(Fatal("no topic")), "verdicts": Reader()}
    copy = copy_with(**readers)
    with pytest.raises(Fatal, match="no topic"):
        await copy.start()
    await copy.stop()
    await asyncio.sleep(0.1)
    assert not any(reader.following for reader in readers.values())


async def test_what_ended_a_reader_is_raised_as_it_is_for_whoever_tries_it_again() -> None:
    copy = copy_with(keys=Reader(), workspaces=Reader(Retryable("no brokers")), verdicts=Reader())
    with pytest.raises(Retryable, match="no brokers"):
        await copy.follow()
