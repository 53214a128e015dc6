"""`strongroom verify`, and `--deep`, over an archive on a real S3 server: seconds, and the highest RSS.

`python -m tests.benchmarks.bench_verify [RECORDS]` writes the archive by the worker's own sorter and flusher,
without Kafka: 200 keys, 8 partitions, 25,000 records of 760 bytes a flush. Each audit is a process.
"""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.benchmarks.figures import cpu_of_children, peak_of
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE
from tests.runs import runs_of
from tests.stack import ladder
from tests.stack.s3 import ACCESS_KEY, REGION, S3, SECRET_KEY, s3_on
from tests.system.fleet import COMMAND, Fleet
from tests.unit.intake.making import NOW, Record, key_record, policy_of, workspace_record
from tests.unit.ledger.audited import Unheard
from tests.unit.ledger.world import TOPIC_ID, WRITER, done
from topics.workspaces import Source, SourceType
from workers import opening
from workers.by import By
from workers.intake.batch import Batch
from workers.intake.sort import Sorter
from workers.ledger import entries, fleet
from workers.ledger.entries import Genesis
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import Head, after_genesis
from workers.ledger.names import ChainId
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import add_key, open_books, set_workspace
from workers.sample.load import load_keys, records
from workers.sealing.root import FileRoot
from workers.settings import Settings
from workers.store.port import IF_ABSENT
from workers.store.retry import Retry

WORKSPACES = 20
FLUSH = 25_000  # records
SOURCES = [Source(id=f"s{number}", type=SourceType.SERVER) for number in range(KEYS // WORKSPACES)]
OWNERS = {
    key: (f"w{number % WORKSPACES}", f"s{number // WORKSPACES}") for number, key in enumerate(load_keys(KEYS))
}


class Audit(NamedTuple):
    report: dict[str, Any]
    seconds: float
    cpu: float  # seconds
    rss: int  # bytes, the highest


def main(count: int) -> None:
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    s3 = s3_on(ladder.s3())
    with tempfile.TemporaryDirectory() as folder:
        try:
            s3.start()
            measure(s3, Path(folder), count)
        finally:
            s3.close()


def measure(s3: S3, folder: Path, count: int) -> None:
    owned = Fleet(folder, "127.0.0.1:1", s3.endpoint, s3.bucket(), "", partitions=PARTITIONS)
    FileRoot.create(owned.root_key_file)
    os.environ.update(owned.environment())
    began = time.perf_counter()
    asyncio.run(fill(count))
    print(f"{count:,} records archived in {time.perf_counter() - began:.0f} s; {ladder.said()}")
    for options in ([], ["--deep"]):
        found = audit(options)
        report = found.report
        print(
            f"verify {' '.join(options):6} {found.seconds:6.1f} s, CPU {found.cpu:5.1f} s, "
            f"{found.rss / 2**20:4.0f} MiB RSS: "
            f"{report['entries']:,} entries, {report['objects']:,} objects, "
            f"{report['opened']:,} opened, {report['lines']:,} records counted; clean: {report['clean']}",
            flush=True,
        )
        assert report["clean"], report["findings"][:10]
        assert report["offsets"] == count
        assert report["lines"] == (count if options else 0)


def audit(options: list[str]) -> Audit:
    began, before = time.perf_counter(), cpu_of_children()
    rss = 0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([COMMAND, "verify", "--json", *options], stdout=output)
        while process.poll() is None:
            rss = max(rss, peak_of(process.pid))
            time.sleep(0.05)
        output.seek(0)
        printed = output.read()
    seconds, cpu = time.perf_counter() - began, cpu_of_children() - before
    assert process.returncode in {0, 1}, process.returncode
    return Audit(json.loads(printed), seconds, cpu, rss)


async def fill(count: int) -> None:
    settings, retry = Settings.load(), Retry(attempts=5)
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(opening.open_ledger(settings))
        data = await opened.enter_async_context(opening.open_data(settings))
        roots = await opened.enter_async_context(opening.open_roots(settings))
        keys = await opened.enter_async_context(opening.open_keystore(settings, roots))
        await fleet.enroll(ledger, fleet.of(roots.fingerprints, "bench", "bench"), retry)
        books = open_books(ledger, Unheard(), prefix="", retry=retry)
        by = By("bench", "bench", "bench", now=NOW)
        for number in range(WORKSPACES):
            await set_workspace(books, f"w{number}", lambda w: replace(w, sources=tuple(SOURCES)), by)
        for key, (workspace, source) in OWNERS.items():
            await add_key(books, key, workspace, source, by)
        flusher = Flusher(
            data=data,
            ledger=ledger,
            keys=keys,
            packer=Packer(Compression.ZSTD, 1),
            writer=WRITER,
            retry=retry,
            threads=opened.enter_context(ThreadPoolExecutor(2)),
            uploads=Uploads(16),
            now=lambda: NOW,
        )
        heads: list[Head] = []
        for partition in range(PARTITIONS):
            chain = ChainId("raw-events", TOPIC_ID, 1, partition)
            genesis = Genesis(**chain._asdict(), first=0, attempt="0" * 16, writer=WRITER, created_at=NOW)
            await ledger.put(chain.genesis, entries.encode(genesis), condition=IF_ABSENT)
            heads.append(after_genesis(chain, entries.encode(genesis)))
        for number, batch in enumerate(batches(count)):
            head = heads[number % PARTITIONS]
            heads[number % PARTITIONS] = (
                await flusher.flush(head.chain, sorted_at(head, batch), done(head))
            ).head


def batches(count: int) -> Iterator[list[bytes]]:
    values = (value for _, value in records(1, count, KEYS, SIZE))
    while batch := list(itertools.islice(values, FLUSH)):
        yield batch


def sorted_at(head: Head, values: list[bytes]) -> Batch:
    batch = Batch(head.next)
    found = [Record(value, offset) for offset, value in enumerate(values, head.next)]
    SORTER.sort(runs_of(found), now=NOW, into=batch.sorting)
    batch.extend(head.next + len(found), len(found), uptime=0.0, oldest=NOW)
    return batch


SORTER = Sorter(
    policy_of(
        [key_record(key, workspace=of[0], source=of[1]) for key, of in OWNERS.items()],
        [workspace_record(f"w{number}", sources=SOURCES) for number in range(WORKSPACES)],
    )
)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
