"""What S3 was asked for, and the price of that: S3 Standard in us-east-1, without storage and traffic."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

WRITE, READ = 5e-6, 4e-7  # dollars a PUT, a part, or a LIST; a GET or a HEAD; nothing for a deletion
OPERATION = re.compile(r" s3_([A-Z][a-z]+)\w* ")  # as versitygw's log of requests names them


class Requests(NamedTuple):
    puts: int = 0  # parts and completions of uploads too
    lists: int = 0
    gets: int = 0  # and HEADs
    deletes: int = 0

    @property
    def dollars(self) -> float:
        return (self.puts + self.lists) * WRITE + self.gets * READ


class RequestLog:
    """What a server has logged since this was made; `path` need not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = path.stat().st_size if path.exists() else 0

    def requests(self) -> Requests | None:
        """None where the server does not log."""
        if not self._path.exists():
            return None
        found: Counter[str] = Counter()
        with self._path.open(errors="replace") as lines:
            lines.seek(self._start)
            for line in lines:
                if operation := OPERATION.search(line):
                    found[operation[1]] += 1
        lists = found.pop("List", 0)
        gets = found.pop("Get", 0) + found.pop("Head", 0)
        deletes = found.pop("Delete", 0) + found.pop("Abort", 0)
        # all others write: Put, Create, Upload, Complete, Copy
        return Requests(found.total(), lists, gets, deletes)
