"""What a partition keeps of write keys that nobody knows: so many bytes an hour, and a share of it for a key.

The hour is of the broker's append time. So a flood of invented keys stores a bounded amount a day, however
much of it comes and however fast it is read; and as each record counts for a least size, it opens a bounded
number of keys here too (docs/policy.md, Unknown keys).
"""

HOUR = 3_600_000  # ms
LEAST_BYTES = 512  # of a record, as it is counted
HOURS_OPEN = 2  # brokers' clocks differ: around the full hour two are written in turns


class _Hour:
    __slots__ = ("bytes", "of_keys")

    def __init__(self) -> None:
        self.bytes = 0
        self.of_keys: dict[int, int] = {}  # hash of a key → its bytes: a key may be as long as a record


class UnknownKeys:
    """Of one partition, since it was claimed. Whoever claims it next begins anew."""

    def __init__(self) -> None:
        self._hours: dict[int, _Hour] = {}

    def __len__(self) -> int:
        """Keys that are remembered."""
        return sum(len(hour.of_keys) for hour in self._hours.values())

    def room(self, write_key: str, appended: int, size: int, budget: int, share: int) -> int:
        """Bytes left once a record of `size` is in; negative: it has no room, and takes none.

        `budget` is that of an hour, `share` what one key may have of it, both in bytes; `appended` in ms.
        """
        hour = self._hour(appended // HOUR)
        size = max(size, LEAST_BYTES)
        left = budget - hour.bytes - size
        if left < 0:  # whoever it is: most of a flood ends here
            return left
        key = hash(write_key)
        of_key = hour.of_keys.get(key, 0)
        left = min(left, share - of_key - size)
        if left >= 0:
            hour.bytes += size
            hour.of_keys[key] = of_key + size
        return left

    def _hour(self, number: int) -> _Hour:
        """The hour's, or that of the oldest one open if it was closed: none is ever opened twice."""
        hour = self._hours.get(number)
        if hour is not None:
            return hour
        if len(self._hours) >= HOURS_OPEN:
            oldest = min(self._hours)
            if number < oldest:
                return self._hours[oldest]
            del self._hours[oldest]
        hour = self._hours[number] = _Hour()
        return hour
