"""Opens every object with Amazon's client, as processes (tests/torture/amazons_reader.py)."""

import json
import queue
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.torture.checker import Listed, Opened

PROCESSES = 2
FRAME = struct.Struct(">IBI")
SCRIPT = Path(__file__).with_name("amazons_reader.py")


def open_all(python: Path, kms: str, s3: str, bucket: str, listed: Sequence[Listed]) -> Iterator[Opened]:
    """In no certain order. Raises RuntimeError if a process failed or left objects out."""
    frames: queue.Queue[Opened | str] = queue.Queue(maxsize=64)
    shares = [listed[start::PROCESSES] for start in range(PROCESSES)]
    for share in shares:
        job = {"kms": kms, "s3": s3, "bucket": bucket, "tasks": [_task(stored) for _, stored in share]}
        threading.Thread(target=_run, args=(python, job, share, frames), daemon=True).start()
    running = len(shares)
    while running:
        opened = frames.get()
        if isinstance(opened, Opened):
            yield opened
        elif opened:
            raise RuntimeError(opened)
        else:
            running -= 1


def _task(stored: dict[str, Any]) -> dict[str, Any]:
    unit = {name: stored[name] for name in ("clock", "day", "source", "workspace")}
    return {"key": stored["key"], "context": {**unit, "object": stored["key"]}}


def _run(
    python: Path,
    job: dict[str, Any],
    share: Sequence[Listed],
    frames: "queue.Queue[Opened | str]",
) -> None:
    """Ends with one str: why it failed, or nothing."""
    try:
        with subprocess.Popen([python, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            count = 0
            while len(head := process.stdout.read(FRAME.size)) == FRAME.size:
                number, refused, length = FRAME.unpack(head)
                content = process.stdout.read(length)
                entry, stored = share[number]
                why = content.decode() if refused else None
                frames.put(Opened(entry, stored, content, why))
                count += 1
        if process.returncode or count != len(share):
            frames.put(
                f"Amazon's client ended with {process.returncode} after {count} of {len(share)} objects"
            )
        else:
            frames.put("")
    except Exception as error:  # the other side waits for a word
        frames.put(f"Amazon's client could not be run: {error!r}")
