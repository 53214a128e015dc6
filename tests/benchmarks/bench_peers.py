"""Strongroom beside its peers and its floor, on the same records, servers and machine, in one run.

CPU is user and system of all of a contender's processes from start to exit, and so are records/s. Whatever it
stored is read back and each record counted; what it asked of S3 is counted by the server, at AWS's prices.
Peers do less: none encrypts, and those in Python promise less than exactly once. The slow ones get fewer
records: the figures are a record's. Flink needs Maven, Bento Go, Quix Streams an environment of its own; the
first run gets what they need. With --tls the floor and Strongroom alone run, on connections with TLS to both
servers. A round has new topics and buckets; every second one goes backwards, and a figure of the table at the
end is the median of its rounds'. Exits 1 if a record of Strongroom's was lost, doubled, or not dropped.

    python -m tests.benchmarks.bench_peers [--profile segment|browser|small] [--records N] [--only NAMES]
                                           [--rounds N] [--tls]
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.asked_of_s3 import RequestLog, Requests
from tests.benchmarks.costs import Cost
from tests.benchmarks.load import PARTITIONS, produce
from tests.benchmarks.peers import came_back, strongroom
from tests.benchmarks.peers.came_back import CameBack
from tests.benchmarks.peers.contenders import CONTENDERS, Contender
from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.workload import (
    DROPPED,
    KEYS,
    PROFILES,
    WORKSPACES,
    Profile,
    workload,
)
from tests.benchmarks.turns import own_fleet, servers, started
from tests.stack import ladder
from tests.stack.authority import Authority
from tests.stack.s3 import S3, secured_s3_on
from tests.stack.secured import secured_kafka_on

OURS = "strongroom"


class Result(NamedTuple):
    records: int  # that it was given
    cost: Cost
    requests: Requests | None  # None: its server does not tell
    back: CameBack | None  # None: it can't be read

    @property
    def cpu(self) -> float:
        """µs a record."""
        return self.cost.cpu / self.records * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--profile", choices=PROFILES, default="segment")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--only", default="", help="names, comma-separated, by their first word")
    parser.add_argument("--rounds", type=int, default=1, choices=range(1, 100), metavar="ROUNDS")
    parser.add_argument("--tls", action="store_true", help="the floor and Strongroom, on TLS")
    given = parser.parse_args()
    only = ["floor", OURS] if given.tls else [name for name in given.only.split(",") if name]
    if strangers := set(only) - {each.first_word for each in CONTENDERS}:
        parser.error(f"no contender is called {', '.join(sorted(strangers))}")
    chosen = [each for each in CONTENDERS if not only or each.first_word in only]
    profile = PROFILES[given.profile]
    for build in {each.build for each in chosen}:
        build()
    print(
        f"{given.records:,} records of {profile.size} bytes, {KEYS} keys by Zipf's law, "
        f"{WORKSPACES} workspaces, {DROPPED} keys dropped; {PARTITIONS} partitions; "
        f"{'TLS; ' if given.tls else ''}{ladder.said()}",
        flush=True,
    )
    found: dict[str, list[Result]] = {each.name: [] for each in chosen}
    with stand_of(tls=given.tls) as stand:
        for number in range(given.rounds):
            for slowness in sorted({each.slowness for each in chosen}):
                alike = [each for each in chosen if each.slowness == slowness]
                with filled(stand, profile, given.records // slowness) as shared:
                    for each in reversed(alike) if number % 2 else alike:
                        found[each.name].append(result := run(each, shared, stand))
                        print(row(each.name, [result]), flush=True)
    print("\n" + "\n".join(table(found)))
    if not all(result.back and result.back.whole for result in found.get(OURS, ())):
        sys.exit("records were lost or doubled")


@dataclass
class Stand:
    bootstrap: str  # for contenders
    open_bootstrap: str  # without TLS, for who fills the topic
    s3: S3
    log: Path  # of S3's requests; absent where the server does not tell
    trust: Path | None = None  # who vouches for both, where they speak TLS


@contextmanager
def stand_of(*, tls: bool) -> Iterator[Stand]:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        log = folder / "requests"
        if not tls:
            kafka, s3 = opened.enter_context(servers(log))
            yield Stand(kafka.bootstrap, kafka.bootstrap, s3, log)
            return
        authority = Authority(folder, "authority")
        secured, s3 = secured_kafka_on(ladder.kafka(), authority), secured_s3_on(ladder.s3(), authority, log)
        os.environ["AWS_CA_BUNDLE"] = str(authority.trust)
        opened.enter_context(started(secured, s3))
        yield Stand(secured.tls, secured.kafka.bootstrap, s3, log, authority.trust)


@contextmanager
def filled(stand: Stand, profile: Profile, count: int) -> Iterator[Given]:
    """A topic with so many records, and what Strongroom needs beside it."""
    settings = {}
    if stand.trust:
        settings = {"STRONGROOM_KAFKA_TLS": "true", "STRONGROOM_KAFKA_CA_FILE": str(stand.trust)}
    with own_fleet(stand.bootstrap, stand.s3, settings) as fleet:
        strongroom.set_up(fleet, profile)
        ends = produce(replace(fleet, bootstrap=stand.open_bootstrap), workload(profile, count))
        yield Given(fleet, fleet.bucket, profile, count, ends, stand.trust)


def run(contender: Contender, shared: Given, stand: Stand) -> Result:
    # our policy is in the fleet's bucket already
    own = replace(shared, bucket=shared.bucket if contender.name == OURS else stand.s3.bucket())
    log = RequestLog(stand.log)
    cost = contender.run(own)
    requests = log.requests()
    back = None if contender.read is None else came_back.counted(contender.read(own), own)
    return Result(own.count, cost, requests, back)


# -- what is printed -----------------------------------------------------------------------------------


def row(name: str, results: Sequence[Result]) -> str:
    """Medians; what came back is the first's, or the first that is not whole."""
    requests = "requests not counted"
    if all(each.requests for each in results):
        priced = [(each.requests or Requests(), each.records / 1e6) for each in results]
        requests = (
            f"{median(asked.puts / millions for asked, millions in priced):6,.0f} PUTs "
            f"{median(asked.lists / millions for asked, millions in priced):4,.0f} LISTs "
            f"{median(asked.gets / millions for asked, millions in priced):6,.0f} GETs "
            f"${median(asked.dollars / millions for asked, millions in priced):.4f} for 1 M records"
        )
    backs = [each.back for each in results if each.back]
    back = next((each for each in backs if not each.whole), backs[0]) if backs else "can't be read"
    return (
        f"{name:15} {median(each.records / each.cost.seconds for each in results):>9,.0f} records/s "
        f"{median(each.cpu for each in results):7.2f} CPU µs/record "
        f"{median(each.cost.rss / 2**20 for each in results):6,.0f} MiB RSS  {requests}  {back}"
    )


def table(found: dict[str, list[Result]]) -> Iterator[str]:
    """A row a contender, and how many times our CPU it took; the floor: how many times its CPU we took."""
    ours = found.get(OURS, [])
    for name, results in found.items():
        yield row(name, results)
        if name == OURS or not ours:
            continue
        ratios = sorted(theirs.cpu / mine.cpu for theirs, mine in zip(results, ours, strict=True))
        words = f"{name} / {OURS}"
        if name == "floor":
            ratios, words = sorted(1 / ratio for ratio in ratios), f"{OURS} / {name}"
        every = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        yield f"{'':15} {words}: {median(ratios):.2f} times the CPU ({every})"


if __name__ == "__main__":
    main()
