"""Which of Kafka's topics a policy chain was published to: one that was made anew has nothing of it.

policy-published/v1/{topic}/topic.json, beside the marks, which say up to where.
"""

from collections.abc import Mapping

import msgspec

from workers.errors import Fatal
from workers.ledger.policy_entries import FORMAT, published_prefix
from workers.store.port import NotFound, Store
from workers.store.retry import Retry


class PublishedTo(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    topic_id: str  # Kafka's


class PolicyLogs:
    """Raises Retryable when the store stays away."""

    def __init__(self, store: Store, retry: Retry) -> None:
        self._store = store
        self._retry = retry

    async def known(self, topic: str) -> str | None:
        """The id of the topic that has all of it; None where nobody has said, or nobody can read what."""
        try:
            got = await self._retry.call(lambda: self._store.get(_name(topic)))
            found = _decode(got.body)
        except (NotFound, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return found.topic_id if found.format == FORMAT else None

    async def keep(self, topic: str, topic_id: str) -> None:
        """All of the chain is on the topic of this id. Two that say so at once say the same."""
        body = _encode(PublishedTo(topic_id=topic_id))
        await self._retry.call(lambda: self._store.put(_name(topic), body))

    async def replaced(self, there: Mapping[str, str]) -> dict[str, str]:
        """Of the ids that topics have: those of topics that were made anew."""
        known = {topic: await self.known(topic) for topic in there}
        return {topic: there[topic] for topic, last in known.items() if last not in (None, there[topic])}

    async def check(self, there: Mapping[str, str]) -> None:
        """Raises Fatal where a worker that starts would miss policy: it would let in what was blocked."""
        if replaced := await self.replaced(there):
            raise Fatal(
                f"made anew since policy was published to it: {', '.join(sorted(replaced))}",
                remedy="The steward publishes all of it within seconds, or `strongroom policy publish` does; "
                "then start this again",
            )


def _name(topic: str) -> str:
    return f"{published_prefix(topic)}topic.json"


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(PublishedTo).decode
