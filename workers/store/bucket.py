"""What a bucket in memory holds: S3's versions, delete markers, conditions and order; it has no faults."""

import bisect
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from workers.store.port import Condition, IfAbsent, NotFound, PreconditionFailed, Stat, Version


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object, or a delete marker."""

    version_id: str
    modified: int  # ms since the epoch
    metadata: Mapping[str, str]
    etag: str = ""
    body: bytes | None = None  # None: a delete marker


class Bucket:
    """Over a delete marker `If-None-Match: *` succeeds, as with AWS."""

    def __init__(self, name: str, *, versioned: bool, now: Callable[[], int]) -> None:
        self._name, self._versioned, self._now = name, versioned, now
        self._objects: dict[str, list[Stored]] = {}  # the newest last
        self._order: list[str] = []  # code points sort as their UTF-8 bytes do
        self._ids = itertools.count(1)

    def write(self, key: str, body: bytes, metadata: Mapping[str, str], condition: Condition | None) -> str:
        """Returns the ETag; raises PreconditionFailed."""
        if condition is not None:
            self._check(key, condition)
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self._add(key, Stored(self._next_id(), self._now(), metadata, etag, body))
        return etag

    def current(self, key: str) -> tuple[Stored, bytes]:
        """The newest version and its body; raises NotFound."""
        stored = self._objects.get(key)
        if not stored or stored[-1].body is None:
            raise NotFound(f"{self._name}/{key}: 404, no such object")
        return stored[-1], stored[-1].body

    def stats(self, prefix: str, after: str = "") -> Iterator[Stat]:
        for key in self._keys(prefix, after):
            newest = self._objects[key][-1]
            if newest.body is not None:
                yield Stat(key, len(newest.body), newest.etag, newest.modified)

    def versions(self, prefix: str, after: str = "") -> Iterator[Version]:
        """By key; of one key the newest first."""
        for key in self._keys(prefix, after):
            stored = self._objects[key]
            for one in reversed(stored):
                size = 0 if one.body is None else len(one.body)
                yield Version(key, one.version_id, one is stored[-1], one.body is None, size)

    def remove(self, key: str) -> None:
        """On a bucket with versions adds a delete marker, also where nothing was, as AWS does."""
        if self._versioned:
            self._add(key, Stored(self._next_id(), self._now(), {}))
        elif key in self._objects:
            self._forget(key)

    def purge(self, key: str, version_id: str) -> None:
        """What is newest of those that remain is current again."""
        stored = [one for one in self._objects.get(key, ()) if one.version_id != version_id]
        if stored:
            self._objects[key] = stored
        elif key in self._objects:
            self._forget(key)

    def _check(self, key: str, condition: Condition) -> None:
        stored = self._objects.get(key)
        newest = stored[-1] if stored and stored[-1].body is not None else None
        if isinstance(condition, IfAbsent):
            if newest is not None:
                raise PreconditionFailed(f"{self._name}/{key}: 412, the name is taken")
        elif newest is None or newest.etag != condition.etag:
            raise PreconditionFailed(f"{self._name}/{key}: 412, not the object that it should replace")

    def _add(self, key: str, stored: Stored) -> None:
        if key not in self._objects:
            bisect.insort(self._order, key)
            self._objects[key] = []
        if not self._versioned:
            self._objects[key].clear()
        self._objects[key].append(stored)

    def _forget(self, key: str) -> None:
        del self._objects[key]
        del self._order[bisect.bisect_left(self._order, key)]

    def _next_id(self) -> str:
        return f"{next(self._ids):08d}" if self._versioned else "null"

    def _keys(self, prefix: str, after: str) -> list[str]:
        begin = max(bisect.bisect_left(self._order, prefix), bisect.bisect_right(self._order, after))
        return list(itertools.takewhile(lambda key: key.startswith(prefix), self._order[begin:]))
