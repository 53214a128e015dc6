"""Strongroom beside its peers and its floor, on the same records, servers and machine, in one run.

CPU is user and system of all of a contender's processes from start to exit; whatever it stored is read back
and each record counted. Peers do less: none encrypts, and those in Python promise less than exactly once. The
slow ones get fewer records: the figures are a record's. Flink needs Maven, Bento Go, Quix Streams an
environment of its own; the first run gets what they need. With --tls the floor and Strongroom alone run, on
connections with TLS to both servers. A round has new topics and buckets; every second one goes backwards, and
a ratio is the median of its rounds'.

    python -m tests.benchmarks.bench_peers [--profile segment|browser|small] [--records N] [--only NAMES]
                                           [--rounds N] [--tls]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from confluent_kafka import Consumer, TopicPartition

from tests.benchmarks.costs import Cost
from tests.benchmarks.load import PARTITIONS, produce
from tests.benchmarks.peers import came_back, strongroom
from tests.benchmarks.peers.workload import (
    DROPPED,
    KEYS,
    PROFILES,
    WORKSPACES,
    Profile,
    dropped_keys,
    workload,
)
from tests.benchmarks.turns import own_fleet, stack, started
from tests.stack import ladder
from tests.stack.authority import Authority
from tests.stack.s3 import S3, secured_s3_on
from tests.stack.secured import secured_kafka_on
from tests.system.fleet import Fleet

PEERS = Path(__file__).with_name("peers")
INTERVAL = 10  # seconds between flushes, commits or checkpoints of those that have such
PATIENCE = 1800.0  # seconds for one contender
LOOK = 0.5  # seconds between two looks at one that does not end by itself
BENTO = PEERS / "bento/target/bento"


@dataclass
class Given:
    """What every contender is given: a topic of `count` records, and a bucket of its own."""

    fleet: Fleet
    bucket: str
    profile: Profile
    count: int
    ends: dict[int, int]
    trust: Path | None = None  # who vouches for the servers, where they speak TLS

    @property
    def topic(self) -> str:
        return f"{self.fleet.prefix}raw-events"


@dataclass
class Contender:
    name: str
    slowness: int  # it gets one record of so many
    run: Callable[[Given], Cost]
    read: Callable[[Given], Iterator[bytes]] | None  # NDJSON that it stored; None: it can't be opened

    @property
    def first_word(self) -> str:
        return self.name.replace(",", " ").split()[0]


def spent(command: list[str], environment: Mapping[str, str], over: Callable[[], bool] | None = None) -> Cost:
    """Runs it to its end, and says what it cost. What does not end by itself is stopped once it is `over`."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        ended = 0
        while over is not None and not over() and not ended:
            time.sleep(LOOK)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if not ended:
            if over is not None:
                process.terminate()
            _, status, used = os.wait4(process.pid, 0)
        watch.cancel()
        seconds = time.perf_counter() - began
        if status:
            log.seek(0)
            sys.exit(f"{command[:4]} ended with {status}:\n{log.read()[-4000:].decode(errors='replace')}")
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def python(module: str, given: Given, *more: str) -> Cost:
    fleet, drop = given.fleet, ",".join(dropped_keys(given.profile))
    return spent(
        [sys.executable, "-m", f"tests.benchmarks.peers.{module}", fleet.bootstrap, given.topic, *more,
         str(given.count), fleet.endpoint, given.bucket, str(given.profile.batch), drop],
        {"KAFKA_TRUST": str(given.trust)} if given.trust else {},
    )  # fmt: skip


def quix(given: Given) -> Cost:
    every = given.profile.batch * PARTITIONS // given.profile.size
    return spent(
        [str(quix_python()), str(PEERS / "quix.py"), given.fleet.bootstrap, given.topic,
         given.fleet.endpoint, given.bucket, str(every), ",".join(dropped_keys(given.profile))],
        {},
    )  # fmt: skip


def bento(given: Given) -> Cost:
    group = uuid.uuid4().hex
    reader = Consumer({"bootstrap.servers": given.fleet.bootstrap, "group.id": group})
    places = [TopicPartition(given.topic, partition) for partition in given.ends]
    try:
        return spent(
            [str(BENTO), "-c", str(PEERS / "bento/archive.yaml")],
            {
                "BOOTSTRAP": given.fleet.bootstrap,
                "TOPIC": given.topic,
                "GROUP": group,
                "DROPPED": json.dumps(dropped_keys(given.profile)),
                "BUCKET": given.bucket,
                "ENDPOINT": given.fleet.endpoint,
                "BATCH": str(given.profile.batch),
                "INTERVAL": str(INTERVAL),
            },
            lambda: all(
                place.offset >= given.ends[place.partition] for place in reader.committed(places, 10)
            ),
        )
    finally:
        reader.close()


def flink(given: Given, parallelism: int) -> Cost:
    target = PEERS / "flink/target"
    modules = ("java.util", "java.lang", "java.lang.invoke", "java.net", "java.io", "java.time", "java.nio")
    return spent(
        ["java", "-Xmx4g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
         *(f"--add-opens=java.base/{module}=ALL-UNNAMED" for module in modules),
         "-cp", f"{target}/flink-contender-1.jar:{target}/lib/*", "peer.Archive",
         given.fleet.bootstrap, given.topic, given.fleet.endpoint,
         os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"],
         f"s3://{given.bucket}/archive", given.fleet.folder.as_uri() + "/checkpoints",
         str(INTERVAL * 1000), str(parallelism), ",".join(dropped_keys(given.profile))],
        {},
    )  # fmt: skip


def quix_python() -> Path:
    """An environment of its own: what it needs must not decide what Strongroom is tested with."""
    folder = PEERS / ".quix"
    binary = folder / "bin/python"
    if not binary.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(binary), "-m", "pip", "install", "-q", "-r", str(PEERS / "quix.txt")], check=True)
    return binary


def build_bento() -> None:
    if not BENTO.exists():
        subprocess.run(["go", "build", "-o", str(BENTO), "."], cwd=PEERS / "bento", check=True)


def build_flink() -> None:
    if not (PEERS / "flink/target/flink-contender-1.jar").exists():
        subprocess.run(["mvn", "-q", "-B", "package"], cwd=PEERS / "flink", check=True)


CONTENDERS = (
    Contender("floor", 1, lambda given: python("floor", given, str(PARTITIONS)), None),
    Contender("strongroom", 1, strongroom.archive, strongroom.read),
    Contender("flink, 1 slot", 1, lambda given: flink(given, 1), came_back.zstd_objects),
    Contender("flink, 2 slots", 1, lambda given: flink(given, 2), came_back.zstd_objects),
    Contender("bento", 2, bento, came_back.zstd_objects),
    Contender("quix", 5, quix, came_back.zstd_objects),
    Contender("faust agent", 10, lambda given: python("faust_agent", given), came_back.zstd_objects),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, default="segment")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--only", default="", help="names, comma-separated, by their first word")
    parser.add_argument("--rounds", type=int, default=1, choices=range(1, 100), metavar="ROUNDS")
    parser.add_argument("--tls", action="store_true", help="the floor and Strongroom, on TLS")
    given = parser.parse_args()
    only = ["floor", "strongroom"] if given.tls else [name for name in given.only.split(",") if name]
    if strangers := set(only) - {each.first_word for each in CONTENDERS}:
        parser.error(f"no contender is called {', '.join(sorted(strangers))}")
    chosen = [each for each in CONTENDERS if not only or each.first_word in only]
    profile = PROFILES[given.profile]
    if any(each.name.startswith("flink") for each in chosen):
        build_flink()
    if any(each.name == "bento" for each in chosen):
        build_bento()
    print(
        f"{given.records:,} records of {profile.size} bytes, {KEYS} keys by Zipf's law, "
        f"{WORKSPACES} workspaces, {DROPPED} keys dropped; {PARTITIONS} partitions; "
        f"{'TLS; ' if given.tls else ''}{ladder.said()}",
        flush=True,
    )
    rounds: list[dict[str, float]] = []
    with secured() if given.tls else plain() as servers:
        for number in range(given.rounds):
            rounds.append({})
            for slowness in sorted({each.slowness for each in chosen}):
                alike = [each for each in chosen if each.slowness == slowness]
                with filled(servers, profile, given.records // slowness) as shared:
                    for each in reversed(alike) if number % 2 else alike:
                        rounds[-1][each.name] = told(each, shared, servers.s3)
    ratios(rounds)


@dataclass
class Servers:
    bootstrap: str  # for contenders
    open_bootstrap: str  # without TLS, for who fills the topic
    s3: S3
    trust: Path | None = None  # who vouches for both, where they speak TLS


@contextmanager
def plain() -> Iterator[Servers]:
    with stack() as (bootstrap, s3):
        yield Servers(bootstrap, bootstrap, s3)


@contextmanager
def secured() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder), "authority")
        kafka, s3 = secured_kafka_on(ladder.kafka(), authority), secured_s3_on(ladder.s3(), authority)
        os.environ["AWS_CA_BUNDLE"] = str(authority.trust)
        with started(kafka, s3):
            yield Servers(kafka.tls, kafka.kafka.bootstrap, s3, authority.trust)


@contextmanager
def filled(servers: Servers, profile: Profile, count: int) -> Iterator[Given]:
    """A topic with so many records, and what Strongroom needs beside it."""
    settings = {}
    if servers.trust:
        settings = {"STRONGROOM_KAFKA_TLS": "true", "STRONGROOM_KAFKA_CA_FILE": str(servers.trust)}
    with own_fleet(servers.bootstrap, servers.s3, **settings) as fleet:
        strongroom.set_up(fleet, profile)
        ends = produce(replace(fleet, bootstrap=servers.open_bootstrap), workload(profile, count))
        yield Given(fleet, fleet.bucket, profile, count, ends, servers.trust)


def told(contender: Contender, shared: Given, s3: S3) -> float:
    """Runs it, prints its line; CPU seconds a record."""
    own = replace(shared, bucket=s3.bucket())
    if contender.name == "strongroom":
        own.bucket = shared.bucket  # its policy is there already
    cost = contender.run(own)
    objects, stored = came_back.stored(s3, own.bucket)
    found = "-"
    if contender.read is not None:
        found = came_back.counted(contender.read(own), own)
    print(
        f"{contender.name:15} {own.count / cost.seconds:>9,.0f} records/s "
        f"{cost.cpu / own.count * 1e6:7.2f} CPU µs/record {cost.rss / 2**20:6,.0f} MiB RSS "
        f"{objects:6,} objects {stored / 2**20:7,.0f} MiB  {found}",
        flush=True,
    )
    return cost.cpu / own.count


def ratios(rounds: Sequence[dict[str, float]]) -> None:
    if "strongroom" not in rounds[0]:
        return
    for name in rounds[0]:
        found = sorted(each[name] / each["strongroom"] for each in rounds)
        if name == "floor":
            found = sorted(1 / ratio for ratio in found)
        if name != "strongroom":
            words = "strongroom / floor" if name == "floor" else f"{name} / strongroom"
            every = ", ".join(f"{ratio:.2f}" for ratio in found)
            print(f"{words}: {median(found):.2f} times the CPU ({every})")


if __name__ == "__main__":
    main()
