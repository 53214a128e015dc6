"""Stores whose objects take no memory of the process that is measured."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from workers.store.memory import MemoryStore
from workers.store.port import Got, NotFound, PreconditionFailed, Stat


class OnDisk(MemoryStore):
    """Keeps bodies, and no metadata, in a file. Every write is as one that must find no such name."""

    def __init__(self, file: Path) -> None:
        super().__init__(file.name)
        self._rows = sqlite3.connect(file, isolation_level=None)
        self._rows.executescript(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -8000;"
            "CREATE TABLE objects (name TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID"
        )

    async def put(self, key: str, body: bytes, **options: Any) -> str:
        self.requests["put"] += 1
        try:
            self._rows.execute("INSERT INTO objects VALUES (?, ?)", (key, body))
        except sqlite3.IntegrityError:
            raise PreconditionFailed(f"put {self.name}/{key}") from None
        return f'"{len(body)}"'

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        self.requests["get"] += 1
        found = self._rows.execute("SELECT body FROM objects WHERE name = ?", (key,)).fetchone()
        if found is None:
            raise NotFound(f"get {self.name}/{key}")
        body = found[0]
        return Got(body[start : None if length is None else start + length], f'"{len(body)}"', len(body))

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        self.requests["list"] += 1
        found = self._rows.execute(
            "SELECT name, length(body) FROM objects WHERE name > ? AND name >= ? AND name < ? "
            "ORDER BY name LIMIT ?",
            (after, prefix, prefix + "\x7f", -1 if limit is None else limit),
        )
        for name, size in found.fetchall():
            yield Stat(name, size, f'"{size}"', 0)


class Forgetting(MemoryStore):
    """Takes objects, counts them and their bytes, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__("forgetting")
        self.bytes = 0

    async def put(self, key: str, body: bytes, **options: Any) -> str:
        self.requests["put"] += 1
        self.bytes += len(body)
        return '"0"'
