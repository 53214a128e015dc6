"""A running worker's memory stays within what its settings allow, however much it has archived."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet, wait_until
from tests.system.traffic import produce
from workers import memory
from workers.memory import MIB
from workers.sample.load import load_keys, records
from workers.settings import Settings

pytestmark = pytest.mark.system

KEYS = 8
BUFFER, FLUSH = 32 * MIB, 4 * MIB
COUNT = 600_000  # 460 MB of records: 14 times what may wait, 110 MB as Kafka hands them out


def traffic() -> Iterator[tuple[str, bytes]]:
    for key, value in records(1, COUNT, KEYS, 760):
        yield key.decode(), value


def highest(process: int) -> int:
    """Bytes of resident memory, the most so far."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) * 1024


def test_it_is_bounded_and_said_at_the_start(fleet: Fleet) -> None:
    settings = Settings(buffer_bytes_max=BUFFER, flush_bytes=FLUSH)
    fleet.settings |= {
        "STRONGROOM_BUFFER_BYTES_MAX": str(BUFFER),
        "STRONGROOM_FLUSH_BYTES": str(FLUSH),
        "STRONGROOM_FLUSH_INTERVAL": "5",
    }
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    for key in load_keys(KEYS):
        fleet.run("keys", "add", key, "--workspace", "acme", "--source", "api")
    worker = fleet.worker().wait_ready()
    assert '"memory_bound"' in worker.log() or '"memory_limit_low"' in worker.log()
    produce(fleet.bootstrap, f"{fleet.prefix}raw-events", traffic())
    wait_until(lambda: worker.metric("strongroom_records_total") >= COUNT, 120, worker.log)
    took = highest(worker.process.pid)
    assert worker.stop() == 0, worker.log()
    within = memory.bound(settings, KEYS, 1)
    assert took <= within, f"{took / MIB:.0f} MiB, {within / MIB:.0f} allowed"
