"""How soon workers act by a verdict, while the host that it is about sends on.

    python -m tests.benchmarks.bench_verdicts [--workers 2] [--verdicts 100] [--rate 2000]

One customer's key is used by as many foreign hosts as there are verdicts, and by an own host, all at once.
Every quarter of a second another host is called a copy, by the code that the judge calls. Looked at is the
last record of each that was flagged: how long after the verdict's acknowledgement the broker had appended it,
less than nothing where it was before. The own host must have lost none, and no record may be there twice.
Exits 1 otherwise. Some 2 minutes.
"""

import argparse
import asyncio
import json
import signal
import sys
import threading
import time
from typing import Any

from confluent_kafka import Producer

from tests.benchmarks.costs import archived
from tests.benchmarks.policy_fleet import by, fleet_for
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.system.fleet import Fleet, wait_until
from tests.system.traffic import envelope
from topics.origin_verdicts import VerdictKind
from workers.cli.policy import open_policy
from workers.ledger.verdict_commands import Judged, append_verdict
from workers.settings import Settings

KEY, OWN = "judged-key-0001", "https://www.shop.example"
EVERY = 0.25  # seconds between two verdicts
TAIL = 3.0  # seconds for which is sent on after the last one
BOUND = 1000  # ms


class Sending:
    """Sends for all hosts in turn, until it is stopped. `appended`: message id → broker's time, ms."""

    def __init__(self, kafka: Kafka, topic: str, hosts: list[str], rate: int) -> None:
        self._producer = Producer({"bootstrap.servers": kafka.bootstrap, "acks": "all", "linger.ms": 2})
        self._topic, self._hosts, self._rate = topic, hosts, rate
        self._over = threading.Event()
        self.appended: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def _run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.is_set():
            while number < (time.monotonic() - began) * self._rate:
                self._send(number)
                number += 1
            self._producer.poll(0.002)

    def _send(self, number: int) -> None:
        host = self._hosts[number % len(self._hosts)]
        name = f"{host} {number}"

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            self.appended[name] = message.timestamp()[1]

        self._producer.produce(
            self._topic, envelope(KEY, name, origin=host), f"k{number % 64}", on_delivery=delivered
        )


async def measure(kafka: Kafka, fleet: Fleet, workers: int, count: int, rate: int) -> list[str]:
    """What was found amiss."""
    print(f"{workers} workers, {count} verdicts, {rate:,} records/s; {ladder.said()}", flush=True)
    fleet.run(
        *("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "[*.]shop.example"),
        *("--origins", "quarantine"),
    )
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "web")
    started = [fleet.worker(f"worker-{number}") for number in range(workers)]
    for worker in started:
        worker.wait_ready()
    hosts = [f"copy{number}.example" for number in range(count)]
    sending = Sending(kafka, f"{fleet.prefix}raw-events", [OWN, *(f"https://{host}" for host in hosts)], rate)
    said: dict[str, int] = {}
    async with open_policy(Settings.load()) as books:
        for host in hosts:
            await asyncio.sleep(EVERY)
            copy = Judged(KEY, "acme", host, VerdictKind.COPY, {"content_match": 0.8})
            await append_verdict(books.verdicts, copy, by("to measure it"))
            said[f"https://{host}"] = time.time_ns() // 1_000_000
    await asyncio.sleep(TAIL)
    await asyncio.to_thread(sending.stop)

    def all_archived() -> bool:
        return archived(fleet) >= len(sending.appended)

    await asyncio.to_thread(wait_until, all_archived, 120, lambda: "not all was archived in time")
    for worker in started:
        assert worker.stop() == 0, worker.log()
    became = {each: ids(fleet, each) for each in ("accepted", "flagged", "quarantined")}
    return judged(sending.appended, said, became)


def ids(fleet: Fleet, disposition: str) -> list[str]:
    """Of messages."""
    read = fleet.run("read", "--workspace", "acme", "--unwrap", "--disposition", disposition)
    return [json.loads(line)["messageId"] for line in read.stdout.splitlines()]


def judged(appended: dict[str, int], said: dict[str, int], became: dict[str, list[str]]) -> list[str]:
    late: dict[str, int] = {}  # host → ms from the acknowledgement to the last record that was flagged
    for name in became["flagged"]:
        host = name.split()[0]
        late[host] = max(late.get(host, -BOUND), appended[name] - said[host])
    lateness = sorted(late.values())
    print(f"{len(appended):,} records: " + ", ".join(f"{len(ids):,} {kind}" for kind, ids in became.items()))
    print("the last record that was flagged, after its host's verdict was acknowledged, ms:")
    middle, p99 = lateness[len(lateness) // 2], lateness[-1 - len(lateness) // 100]
    print(f"p50 {middle}  p99 {p99}  max {lateness[-1]}, of {len(lateness)} hosts")
    findings = []
    ids = [name for each in became.values() for name in each]
    if len(ids) != len(set(ids)) or set(ids) != appended.keys():
        findings.append(f"{len(appended):,} records were acknowledged, {len(ids):,} are archived")
    own = {name for name in appended if name.startswith(f"{OWN} ")}
    if own != set(became["accepted"]):
        findings.append(f"of {len(own):,} records of the own host {len(became['accepted']):,} were accepted")
    if p99 > BOUND:
        findings.append(f"p99 is {p99} ms, {BOUND} are promised")
    return findings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--verdicts", type=int, default=100)
    parser.add_argument("--rate", type=int, default=2000, help="records/s")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with fleet_for(asked.workers, flush_interval=5) as (kafka, fleet):
        findings = asyncio.run(measure(kafka, fleet, asked.workers, asked.verdicts, asked.rate))
    for finding in findings:
        print(f"FAILED: {finding}")
    print("all is well" if not findings else f"{len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
