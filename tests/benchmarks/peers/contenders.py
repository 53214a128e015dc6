"""Who archives the same topic: each run once, in processes of its own, and what that cost."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from tests.benchmarks.costs import Cost
from tests.benchmarks.figures import peak_of
from tests.benchmarks.load import PARTITIONS
from tests.benchmarks.peers import came_back, strongroom
from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.workload import dropped_keys

PEERS = Path(__file__).parent
INTERVAL = 10  # seconds between flushes, commits or checkpoints of those that have such
PATIENCE = 1800.0  # seconds for one contender
LOOK = 0.1  # seconds between two looks at whether it has ended
BENTO = PEERS / "bento/target/bento"
QUIX = PEERS / ".quix/bin/python"


@dataclass
class Contender:
    name: str
    slowness: int  # it gets one record of so many
    run: Callable[[Given], Cost]
    read: Callable[[Given], Iterator[bytes]] | None  # NDJSON that it stored; None: it can't be opened
    build: Callable[[], None] = lambda: None

    @property
    def first_word(self) -> str:
        return self.name.replace(",", " ").split()[0]


def spent(command: list[str], environment: Mapping[str, str], over: Callable[[], bool] | None = None) -> Cost:
    """Runs it to its end, and says what it cost. What does not end by itself is stopped once it is `over`."""
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        rss = ended = 0
        try:
            while not ended:
                rss = max(rss, peak_of(process.pid))
                if over is not None and over():
                    process.terminate()
                    over = None
                elif time.perf_counter() - began > PATIENCE:
                    process.kill()
                time.sleep(LOOK)
                ended, status, used = os.wait4(process.pid, os.WNOHANG)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            process.kill()  # nothing, of one that has been waited for
        seconds = time.perf_counter() - began
        if status:
            log.seek(0)
            sys.exit(f"{command[:4]} ended with {status}:\n{log.read()[-4000:].decode(errors='replace')}")
    return Cost(seconds, used.ru_utime + used.ru_stime, rss)


def python(module: str, given: Given, batch: int, *more: str) -> Cost:
    """`batch`: plain bytes of a flush."""
    fleet, drop = given.fleet, ",".join(dropped_keys(given.profile))
    return spent(
        [sys.executable, "-m", f"tests.benchmarks.peers.{module}", fleet.bootstrap, given.topic, *more,
         str(given.count), fleet.endpoint, given.bucket, str(batch), drop],
        {"KAFKA_TRUST": str(given.trust)} if given.trust else {},
    )  # fmt: skip


def faust_agent(given: Given) -> Cost:
    return python("faust_agent", given, given.profile.batch * PARTITIONS)  # of all of them together


def quix(given: Given) -> Cost:
    every = given.profile.batch * PARTITIONS // given.profile.size
    return spent(
        [str(QUIX), str(PEERS / "quix.py"), given.fleet.bootstrap, given.topic,
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


def build_quix() -> None:
    """An environment of its own: what it needs must not decide what Strongroom is tested with."""
    if not QUIX.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS / ".quix")], check=True)
        subprocess.run([str(QUIX), "-m", "pip", "install", "-q", "-r", str(PEERS / "quix.txt")], check=True)


def build_bento() -> None:
    if not BENTO.exists():
        subprocess.run(["go", "build", "-o", str(BENTO), "."], cwd=PEERS / "bento", check=True)


def build_flink() -> None:
    if not (PEERS / "flink/target/flink-contender-1.jar").exists():
        subprocess.run(["mvn", "-q", "-B", "package"], cwd=PEERS / "flink", check=True)


CONTENDERS = (
    Contender("floor", 1, lambda given: python("floor", given, given.profile.batch, str(PARTITIONS)), None),
    Contender("strongroom", 1, strongroom.archive, strongroom.read),
    Contender("flink, 1 slot", 1, lambda given: flink(given, 1), came_back.zstd_objects, build_flink),
    Contender("flink, 2 slots", 1, lambda given: flink(given, 2), came_back.zstd_objects, build_flink),
    Contender("bento", 2, bento, came_back.zstd_objects, build_bento),
    Contender("quix", 5, quix, came_back.zstd_objects, build_quix),
    Contender("faust agent", 5, faust_agent, came_back.zstd_objects),
)
