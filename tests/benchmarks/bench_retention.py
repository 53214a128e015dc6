"""Objects that are due: plan, disposal, deletions a second, memory, requests; and the server's own limit.

    python -m tests.benchmarks.bench_retention [--objects 40000] [--days 2] [--groups 100]

On a real S3-protocol server, without Kafka. Every object is due. The ledger's entries, the policy and the
keys are the project's own; the objects are files of 100 bytes that are put into the server's folder, for
their content is never read. What is measured is a process of its own, whose clock is moved over the waits.
Beside it, in the same run: the same server emptied of as many other objects under the same names by a client
that lists a page, deletes it, and does nothing else, with as many folders at once as the worker has units.
All is on disk when each begins. On a busy machine look at CPU: of the process that is measured, and of the
server.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.benchmarks import figures
from tests.benchmarks.bare_deletes import seconds_to_empty
from tests.benchmarks.counted import Counted
from tests.contract.keystore.world import ROOT
from tests.stack import ladder
from tests.stack.s3 import ACCESS_KEY, REGION, S3, SECRET_KEY, s3_on
from tests.unit.ledger.audited import Unheard
from tests.unit.ledger.world import TOPIC_ID, WRITER
from topics.workspaces import Workspace
from workers.by import By
from workers.intake.dispositions import Clock, Disposition, Group
from workers.ledger import entries
from workers.ledger.entries import Entry, Genesis, StoredObject
from workers.ledger.names import ChainId
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_commands import open_books, set_workspace
from workers.ledger.policy_kinds import WORKSPACES
from workers.retention.agent import Agent
from workers.retention.census import Registrar
from workers.retention.certificate import Certificate
from workers.retention.dispose import Disposer, Outcome, Terms
from workers.retention.due import PolicyView
from workers.retention.index import UnitIndex
from workers.retention.plan import Limits
from workers.retention.truth import Truth
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.store.retry import Retry
from workers.store.s3 import open_s3

DAY = 86_400_000
NOW = 1_795_687_200_000  # 2026-11-26T10:00:00Z
RECORDS = 1000  # an entry
BODY = b"x" * 100
TERMS = Terms(destroy_after=DAY, shred_latency=300_000)
AT_ONCE = 4  # units, as STRONGROOM_RETAIN_CONCURRENCY has it
RETRY = Retry(attempts=20)
CHAIN = ChainId("raw-events", TOPIC_ID, 1, 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=40_000)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--groups", type=int, default=100, help="workspaces, each with an object an entry")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    if asked.measure:
        print(json.dumps(asyncio.run(measured(*json.loads(asked.measure)))))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the server is closed
    binary = ladder.STACK / "bin" / "versitygw"
    s3 = s3_on(ladder.Rung("native", str(binary), "versitygw"))
    try:
        s3.start()
        print(f"{asked.objects:,} objects; load average {os.getloadavg()[0]:.1f}", flush=True)
        buckets = [s3.bucket() for _ in range(3)]
        root = s3._server.folder / "data"  # type: ignore[attr-defined] # a child process has one
        began = time.perf_counter()
        count = asyncio.run(fill(s3.endpoint, buckets, root / buckets[1], asked))
        print(
            f"{count:,} objects in {asked.days * asked.groups} units laid out: "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
        folders = folders_of(root / buckets[1])
        os.sync()
        before = cpu_of_server(s3)
        found = child(s3, buckets)
        found["the server's CPU"] = f"{cpu_of_server(s3) - before:.1f} s"
        show(found, count)
        limit(s3, root, folders)
    finally:
        s3.close()


def child(s3: S3, buckets: Sequence[str]) -> dict[str, object]:
    asked = json.dumps([s3.endpoint, list(buckets)])
    process = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_retention", "--measure", asked],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, object] = json.loads(process.stdout.splitlines()[-1])
    return found


def show(found: dict[str, object], count: int) -> None:
    print(f"load average {os.getloadavg()[0]:.1f}")
    for name, value in found.items():
        print(f"{name}: {value}")
    assert found["objects deleted"] == found["objects planned"] == count


def folders_of(bucket: Path) -> dict[str, list[str]]:
    """Files by folder, both as keys."""
    return {
        f"{Path(at).relative_to(bucket)}/": [f"{Path(at).relative_to(bucket)}/{file}" for file in files]
        for at, _, files in os.walk(bucket / "data")
        if files
    }


def limit(s3: S3, root: Path, folders: Mapping[str, Sequence[str]]) -> None:
    bucket = s3.bucket()
    for folder, keys in folders.items():
        (root / bucket / folder).mkdir(parents=True)
        _write(root / bucket, keys)
    os.sync()
    before = cpu_of_server(s3)
    seconds, deleted = seconds_to_empty(s3.endpoint, bucket, list(folders), AT_ONCE)
    assert deleted == sum(map(len, folders.values())), deleted
    print(
        f"the server alone, {AT_ONCE} folders at once: {deleted:,} versions listed and deleted in "
        f"{seconds:.1f} s, {deleted / seconds:,.0f}/s, {cpu_of_server(s3) - before:.1f} s of its CPU",
        flush=True,
    )


def cpu_of_server(s3: S3) -> float:
    """Seconds that the server has used so far."""
    pid = s3._server._running.pid  # type: ignore[attr-defined] # a child process has one
    return figures.cpu_of(pid)


# -- the archive -----------------------------------------------------------------------------------------


def units(days: int, groups: int) -> Iterator[Unit]:
    for day in range(days):
        for number in range(groups):
            yield Unit(f"w{number:04d}", "web", f"2026-09-{day + 1:02d}", Clock.MAIN)


async def fill(endpoint: str, buckets: Sequence[str], folder: Path, asked: argparse.Namespace) -> int:
    ledger, rows = [
        await open_s3(bucket, endpoint=endpoint, region=REGION, allow_http=True)
        for bucket in (buckets[0], buckets[2])
    ]
    books = open_books(ledger, Unheard(), prefix="", retry=RETRY)
    by = By("bench", "bench", "bench", NOW - 90 * DAY)
    for number in range(asked.groups):
        await set_workspace(books, f"w{number:04d}", _thirty_days, by)
    keystore = Keystore([rows], Roots([ROOT]), life=300.0, now=lambda: NOW - 90 * DAY)
    for unit in units(asked.days, asked.groups):
        await keystore.unit_key(unit, create=True)
        name = Group(unit.workspace, unit.source, unit.day, Disposition.ACCEPTED, Clock.MAIN)
        Path(folder, CHAIN.data(name, 0, RECORDS, "0" * 16)).parent.mkdir(parents=True)
    an_entry: int = asked.groups
    of_a_day: int = asked.objects // an_entry // asked.days
    place = {"topic": CHAIN.topic, "topic_id": CHAIN.topic_id, "incarnation": 1, "partition": 0}
    genesis = Genesis(**place, first=0, attempt="0" * 16, writer=WRITER, created_at=1)  # type: ignore[arg-type] # above
    previous = entries.encode(genesis)
    await ledger.put(CHAIN.genesis, previous)
    putting: list[asyncio.Task[str]] = []
    with ThreadPoolExecutor(2) as threads:
        for number in range(of_a_day * asked.days):
            entry = entry_of(number, f"2026-09-{number // of_a_day + 1:02d}", an_entry, previous)
            previous = entries.encode(entry)
            putting.append(asyncio.create_task(ledger.put(CHAIN.entry(entry.first), previous)))
            if len(putting) == 16:
                await asyncio.gather(*putting)
                putting.clear()
            threads.submit(_write, folder, [stored.key for stored in entry.objects])
        await asyncio.gather(*putting)
    for store in (ledger, rows):
        await store.close()
    days: int = asked.days
    return of_a_day * days * an_entry


def _thirty_days(before: Workspace) -> Workspace:
    return msgspec.structs.replace(before, retention_days=30)


def _write(folder: Path, keys: Sequence[str]) -> None:
    for key in keys:
        Path(folder, key).write_bytes(BODY)


def entry_of(number: int, day: str, objects: int, previous: bytes) -> Entry:
    first, attempt = number * RECORDS, f"{number:016x}"
    stored = []
    for each in range(objects):
        group = Group(f"w{each:04d}", "web", day, Disposition.ACCEPTED, Clock.MAIN)
        key = CHAIN.data(group, first, first + RECORDS, attempt)
        records = RECORDS // objects + (RECORDS % objects if each == 0 else 0)
        stored.append(StoredObject(key, *group, records, 100, 100, f"{number * objects + each:064x}", 1))
    return Entry(
        topic=CHAIN.topic,
        topic_id=CHAIN.topic_id,
        incarnation=1,
        partition=0,
        first=first,
        next=first + RECORDS,
        previous=entries.digest(previous),
        anchor=None,
        attempt=attempt,
        writer=WRITER,
        committed_at=1,
        policy={},
        counts={Disposition.ACCEPTED: {"accepted": RECORDS}},
        gaps=0,
        objects=tuple(stored),
    )


# -- what is measured ------------------------------------------------------------------------------------


async def measured(endpoint: str, buckets: Sequence[str]) -> dict[str, object]:
    opened = [await open_s3(each, endpoint=endpoint, region=REGION, allow_http=True) for each in buckets]
    requests: Counter[str] = Counter()
    ledger, data, rows = (
        Counted(store, name, requests) for store, name in zip(opened, ("ledger", "data", "keys"), strict=True)
    )
    now = NOW
    view = PolicyView(await PolicyChain(ledger, WORKSPACES, retry=RETRY).everything())
    found: dict[str, object] = {"RSS before": _rss()}

    def agent(told: list[Certificate]) -> Agent:
        index = UnitIndex(ledger, RETRY, lambda: now)
        disposer = Disposer(
            ledger,
            [data],
            Replicas([rows], requests=16),
            index,
            Truth(ledger, lambda: view, lambda: now, RETRY).verdict,
            TERMS,
            WRITER,
            "bench",
            RETRY,
            lambda: now,
            index.reaches,
            _tell(told),
        )
        registrar = Registrar(ledger, index, RETRY, keeps=True)
        return Agent(
            ledger, registrar, disposer, lambda: view, Limits(1.0, 1.0), RETRY, lambda: now, lambda: None
        )

    for name in ("plan from the ledger", "plan from the kept index"):
        requests.clear()
        began, told = time.perf_counter(), []  # type: ignore[var-annotated] # given below
        worker = agent(told)
        planned = await worker.plan()
        found[name] = f"{time.perf_counter() - began:.1f} s, RSS {_rss()}, requests {dict(requests)}"
        print(name, found[name], file=sys.stderr, flush=True)
    found["objects planned"] = sum(each.held.objects for each in planned.plan.tasks)
    whole = time.perf_counter()
    for name, wanted, wait in (
        ("disabled", Outcome.DISABLED, TERMS.destroy_after),
        ("entered in the ledger, key destroyed", Outcome.DESTROYED, TERMS.shred_latency),
        ("deleted and certified", Outcome.DONE, 0),
    ):
        requests.clear()
        began = time.perf_counter()
        await worked_off(worker, wanted)
        seconds = time.perf_counter() - began
        found[name] = f"{seconds:.1f} s, RSS {_rss()}, requests {dict(sorted(requests.items()))}"
        print(name, found[name], file=sys.stderr, flush=True)
        if wanted is Outcome.DONE:
            deleted = sum(each.buckets[0].versions for each in told)
            found["objects deleted"] = deleted
            found["deletions/s, with listing, certificates and all"] = round(deleted / seconds)
            found["deletions/s over all steps"] = round(deleted / (time.perf_counter() - whole))
            found["certificates"] = len(told)
            found["most at once"] = data.most["purge"]
        now += wait
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found["CPU"] = f"{usage.ru_utime + usage.ru_stime:.1f} s"
    for store in opened:
        await store.close()
    return found


async def worked_off(worker: Agent, wanted: Outcome) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def advance(unit: Unit) -> None:
        async with slots:
            advanced = await worker.advance(unit)
            assert advanced is not None, worker.failures
            assert advanced.outcome is wanted, advanced

    due = [each.held.unit for each in worker.planned.plan.tasks]
    await asyncio.gather(*map(advance, due))


def _tell(told: list[Certificate]):  # type: ignore[no-untyped-def] # inferred
    async def tell(issued: Certificate) -> None:
        told.append(issued)

    return tell


def _rss() -> str:
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"


if __name__ == "__main__":
    main()
