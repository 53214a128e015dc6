"""Finds what a command put into a policy chain and died before it was published.

A command under way looks the same for a moment. So what counts is what the look before has seen already.
"""

from typing import NamedTuple

from workers.ledger.policy_entries import SHARDS
from workers.ledger.policy_shards import PAGE, PolicyShards, together


class Look(NamedTuple):
    overdue: list[
        int
    ]  # shards with an entry that was there at the look before, and is not marked as published
    requests: int  # about: what it cost


class PolicyMarks:
    """Of one topic. A look costs two lists while the topic has fewer entries than a page, else 257.

    And a GET for each mark that changed: one that went back too, as a writer leaves it that was paused before
    it published and then died.
    """

    def __init__(self, shards: PolicyShards) -> None:
        self._shards = shards
        self._known: dict[int, tuple[str, int]] = {}  # shard → its mark's ETag, and what that says
        self._heads: dict[int, int] = {}  # at the look before

    async def look(self) -> Look:
        """Raises Retryable when the store stays away, Fatal for a broken chain."""
        etags = await self._shards.marks()  # before the heads: no mark is of a later entry
        changed = [shard for shard, etag in etags.items() if self._known.get(shard, ("", 0))[0] != etag]
        read = await together(self._shards.published, changed)
        self._known = {shard: known for shard, known in self._known.items() if shard in etags}
        self._known |= {shard: (etags[shard], seq) for shard, seq in zip(changed, read, strict=True)}
        done = {shard: seq for shard, (_, seq) in self._known.items()}
        heads = await self._shards.heads(done)
        overdue = [shard for shard in heads if done.get(shard, 0) < self._heads.get(shard, 0)]
        self._heads = heads
        lists = 2 if sum(heads.values()) < PAGE else 1 + SHARDS
        return Look(overdue, lists + len(changed))
