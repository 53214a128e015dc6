"""Half of the peak rate for a long time: does the worker's memory, or anything else of it, grow?

One `strongroom worker archive` with default settings on the real Kafka and S3 of the test stack, 200 keys,
8 partitions, records of 760 bytes. First its peak rate is measured over a backlog, then a producer sends half
of that (or `--rate`) for `--warm-up` and `--minutes`; all are sampled every 5 seconds. At the end each record
must be in the ledger once. Exits 1 if the rate was not held, if the worker fell behind, if RSS, threads or
open files grew (tests/benchmarks/flatness.py), or if verify finds anything.

    nohup make soak MINUTES=45 > /tmp/soak.log 2>&1 &              # docs/evidence/soak.csv, .json and .png
    python -m tests.benchmarks.soak --minutes 4 --out /tmp/trial   # /tmp/trial.csv, .json and .png

Needs some 4 GB of disk for Kafka, which keeps the last minutes only, and about 150 bytes a record for S3:
10 GB in 45 minutes at 22,000 records/s. Both go with their servers at the end; `make stack-down` would end
it early.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # stubs miss it
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.benchmarks import soak_plot, soak_samples
from tests.benchmarks.costs import BY_SIZE, measured
from tests.benchmarks.flatness import BLOCKS, Trend, trend
from tests.benchmarks.load import fill, set_up
from tests.benchmarks.soak_samples import LogEnds, Sample
from tests.benchmarks.turns import own_fleet, stack
from tests.stack import ladder
from tests.system.fleet import Fleet, Worker, wait_until

RETENTION = 300.0  # seconds that Kafka keeps, in segments so small that it really deletes
SEGMENT_BYTES = 32 * 1024 * 1024
PEAK_RECORDS = 800_000
HELD = 0.95  # of the asked rate
DISK_LEFT = 8 * 2**30  # bytes that stay free, or the soak gives up
CATCH_UP = 120.0  # seconds to take the last records, and to flush them


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--warm-up", type=float, help="minutes before them; by default 5, or a third if less")
    parser.add_argument("--rate", type=int, help="records/s instead of half of the peak")
    parser.add_argument("--out", type=Path, default=ladder.PROJECT / "docs/evidence/soak")
    asked = parser.parse_args()
    if asked.minutes * 60 / soak_samples.EVERY < BLOCKS + 5:
        parser.error("too few samples to judge by: 4 minutes are the least")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    warm_up = 60 * (asked.warm_up if asked.warm_up is not None else min(5.0, asked.minutes / 3))
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "STRONGROOM_RAW_RETENTION": str(RETENTION),
        "STRONGROOM_FLUSH_INTERVAL": "300",  # the default; so are all others but the last flush's time
        "STRONGROOM_SHUTDOWN_TIMEOUT": str(CATCH_UP),
    }
    with stack() as (bootstrap, s3), own_fleet(bootstrap, s3, settings) as fleet:
        set_up(fleet)
        cut_into_small_segments(fleet)
        well = soak(fleet, asked.rate, warm_up, 60 * asked.minutes, asked.out)
    sys.exit(0 if well else 1)


def cut_into_small_segments(fleet: Fleet) -> None:
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    size = ConfigEntry("segment.bytes", str(SEGMENT_BYTES), incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, f"{fleet.prefix}raw-events", incremental_configs=[size])
    admin.incremental_alter_configs([topic])[topic].result(60)


def soak(fleet: Fleet, rate: int | None, warm_up: float, seconds: float, out: Path) -> bool:
    fill(fleet, PEAK_RECORDS)
    cost = measured(fleet, [fleet.worker("peak", **BY_SIZE)], PEAK_RECORDS)
    peak = int(PEAK_RECORDS / cost.seconds)
    rate = rate or peak // 2
    title = (
        f"{rate:,} records/s, half of the peak of {peak:,}, for {(warm_up + seconds) / 60:g} minutes; "
        f"{ladder.said()}"
    )
    print(title, flush=True)
    ends = LogEnds(fleet.bootstrap, f"{fleet.prefix}raw-events")
    worker = fleet.worker("soaked").wait_ready()
    sending = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.soak_producer", fleet.bootstrap,
         f"{fleet.prefix}raw-events", str(rate), str(int(rate * (warm_up + seconds)))]
    )  # fmt: skip
    try:
        samples = soak_samples.watch(worker, ends, lambda: ended(sending), out.with_suffix(".csv"))
    finally:
        sending.kill()
        sending.wait()
    soak_plot.draw(samples, warm_up, rate, title, out.with_suffix(".png"))
    produced = ends.total()
    ends.close()
    stop(worker, produced)
    steady = [sample for sample in samples if sample.seconds >= warm_up]
    trends = judged(steady, rate)
    report = fleet.json("verify")
    verified = {
        "records_in_log": produced + PEAK_RECORDS,
        "offsets_in_ledger": report["offsets"],
        "clean": report["clean"],
    }
    findings = found(steady, rate, trends, report, produced)
    if sending.returncode:
        findings.append("the producer failed")
    summary = {
        "command": " ".join(["python -m tests.benchmarks.soak", *sys.argv[1:]]),
        "stack": ladder.said(),
        "peak_records_per_second": peak,
        "asked_records_per_second": rate,
        "archived_records_per_second": round(archived_rate(steady)),
        "warm_up_seconds": warm_up,
        "measured_seconds": round(steady[-1].seconds - steady[0].seconds),
        "samples": len(steady),
        "cpu_cores": round((steady[-1].cpu - steady[0].cpu) / (steady[-1].seconds - steady[0].seconds), 3),
        "verify": verified,
        "trends": {name: each.facts() for name, each in trends.items()},
        "findings": findings,
    }
    out.with_suffix(".json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))
    return not findings


def ended(sending: "subprocess.Popen[bytes]") -> bool:
    if shutil.disk_usage(ladder.STACK).free < DISK_LEFT:
        sys.exit("the disk is nearly full: make room, or ask for fewer minutes or a lower rate")
    return sending.poll() is not None


def stop(worker: Worker, records: int) -> None:
    """Once it has taken all, with a last flush."""

    def taken() -> bool:
        assert worker.process.poll() is None, worker.log()
        dropped = worker.metric("strongroom_records_dropped_total")
        return worker.metric("strongroom_records_in_total") - dropped >= records

    wait_until(taken, CATCH_UP, worker.log)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(2 * CATCH_UP) == 0, worker.log()


def archived_rate(steady: Sequence[Sample]) -> float:
    return (steady[-1].archived - steady[0].archived) / (steady[-1].seconds - steady[0].seconds)


def judged(steady: Sequence[Sample], rate: int) -> dict[str, Trend]:
    """What must stay flat, and for each the growth over the whole time that would not matter."""
    at = [sample.seconds for sample in steady]
    rss = [sample.rss for sample in steady]
    return {
        "rss_bytes": trend(at, rss, 0.03 * max(rss)),
        "anonymous_bytes": trend(at, [sample.anonymous for sample in steady], 0.03 * max(rss)),
        "threads": trend(at, [sample.threads for sample in steady], 1),
        "open_files": trend(at, [sample.files for sample in steady], 10),
        # where in its flushes a stretch begins and ends makes some seconds of records
        "records_behind": trend(at, [sample.behind for sample in steady], 5.0 * rate),
    }


def found(
    steady: Sequence[Sample],
    rate: int,
    trends: Mapping[str, Trend],
    report: Mapping[str, object],
    produced: int,
) -> list[str]:
    findings = [
        f"{name} grew, or its noise could hide that it did" for name, each in trends.items() if not each.flat
    ]
    if archived_rate(steady) < HELD * rate:
        findings.append(f"{archived_rate(steady):,.0f} records/s were archived, {rate:,} were asked")
    if not report["clean"] or report["offsets"] != produced + PEAK_RECORDS:
        findings.append(f"verify: {report['findings']}")
    if steady[-1].dropped:
        findings.append(f"{steady[-1].dropped} records were dropped and taken again")
    return findings


if __name__ == "__main__":
    main()
