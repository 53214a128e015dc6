"""What the system and a worker say of a process: CPU, memory, and the worker's metrics."""

import os
import resource
from collections.abc import Mapping
from pathlib import Path

from tests.system.fleet import Worker

TICK = os.sysconf("SC_CLK_TCK")

Metrics = Mapping[str, float]


def cpu_of(pid: int) -> float:
    """Seconds of all its threads so far, user and system (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_of_children() -> float:
    """Seconds, user and system, of those that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_of(pid: int) -> int:
    """Bytes, the most that were resident; 0 of one that has ended.

    wait4 and getrusage say no less than what the parent had when it forked.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def scrape(worker: Worker, *, starting: bool = False) -> Metrics:
    """`name` or `name{labels}` → value; nothing of one that is `starting` and does not listen yet."""
    status, text = worker.get("/metrics")
    assert status == 200 or (starting and not status), f"{worker.name} does not answer:\n{worker.log()}"
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def total(metrics: Metrics, name: str) -> float:
    """Over all labels."""
    return sum(value for key, value in metrics.items() if key.partition("{")[0] == name)
