"""Kafka's group offsets: they follow the ledger, never the other way round."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from workers.ledger.head import Head


class LeftHints:
    """Of the partitions that a worker owns."""

    def __init__(self) -> None:
        self._left: dict[int, int] = {}  # partition → the head that its group offset names

    def claimed(self, number: int) -> None:
        """Another worker may have left one meanwhile."""
        self._left.pop(number, None)

    async def leave(
        self, heads: Iterable[Head], commit: Callable[[Mapping[int, tuple[int, str]]], Awaitable[bool]]
    ) -> None:
        """Those that have moved. `commit` says whether it could."""
        hints = {
            head.chain.partition: (head.next, str(head.hint))
            for head in heads
            if head.hint and self._left.get(head.chain.partition) != head.next
        }
        if hints and await commit(hints):
            self._left.update({number: following for number, (following, _) in hints.items()})
