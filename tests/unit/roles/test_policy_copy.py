"""The worker's copy says that something was applied, whatever it was, and up to where of which log."""

from topics.policy_applied import Applied
from workers.intake.policy import Policy
from workers.roles.policy_copy import PolicyCopy
from workers.stream.connection import KafkaConnection


async def test_each_applied_record_is_told_of_even_one_that_is_kept_out() -> None:
    copy = PolicyCopy(KafkaConnection("127.0.0.1:1"), "eu.", Policy(), stale_after=5.0)
    for reader in copy.readers.values():
        copy.changed.clear()
        reader._apply(b"k", b"garbage")
        assert copy.changed.is_set()


async def test_before_it_is_loaded_nothing_is_applied() -> None:
    copy = PolicyCopy(KafkaConnection("127.0.0.1:1"), "eu.", Policy(), stale_after=5.0)
    assert copy.applied() == (
        Applied(topic="write-keys", topic_id="", version=()),
        Applied(topic="workspaces", topic_id="", version=()),
    )
    assert copy.stale()
