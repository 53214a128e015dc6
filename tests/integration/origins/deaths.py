"""Judges as real processes on a real Kafka and S3, killed -9 at random moments: what verdicts they end with.

`python -m tests.integration.origins.deaths --kills 40` is the long form of the test.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.system.fleet import Fleet, wait_until
from tests.unit.origins.judging import Site, folded, learnt
from topics import origin_observations
from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind, subject
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import ORIGIN_VERDICTS
from workers.origins.judge import Judge
from workers.store.retry import Retry
from workers.store.s3 import open_s3
from workers.stream.connection import KafkaConnection
from workers.stream.publish import Publisher

EAGER = {"STRONGROOM_JUDGE_SNAPSHOT_INTERVAL": "0.05", "STRONGROOM_INSTANCE_ID": "judge-0"}
KEYS = 4
IDLE = 30.0  # seconds without an observation after which the last judge has come to the end
WITHIN = 120.0  # seconds until it says so


class Ended(NamedTuple):
    kills: int
    unlike: dict[str, tuple[VerdictKind | None, VerdictKind | None]]  # subject → (expected, found)
    verdicts: int
    entries: int  # of the policy chains
    repeated: float  # observations that the last judge had folded before: of its snapshot's offset


def observed(copies: int) -> list[OriginObservation]:
    """Of KEYS write keys: three weeks of own pages, then copies, and what is none; some spans twice."""
    seen: list[OriginObservation] = []
    for number in range(KEYS):
        site, _ = learnt()
        begun = Site()
        mine = begun.learnt(22)
        assert (begun.now, begun.offset) == (site.now, site.offset)
        for copy in range(copies):
            host = f"copy-{copy}.com" if copy % 3 else f"new-{copy}.goodshop.example"
            mine += site.settled([site.copied(host=host, records=10)])
            site.now += 3_600_000
            mine += [site.own(), mine[-3]]
        seen += [msgspec.structs.replace(each, write_key=f"key-{number}") for each in mine]
    return seen


def expected(seen: Sequence[OriginObservation]) -> dict[str, VerdictKind]:
    """By a judge that nothing disturbs."""
    return {subject(found.key, found.host): found.kind for found in folded(Judge(), seen)}


async def sent(bootstrap: str, topic: str, seen: Sequence[OriginObservation]) -> None:
    publisher = Publisher(KafkaConnection(bootstrap=bootstrap))
    await publisher.start()
    try:
        for each in seen:
            await publisher.send(
                topic, origin_observations.record_key(each), origin_observations.codec.encode(each)
            )
        await publisher.flush()
    finally:
        await publisher.stop()


async def on_record(fleet: Fleet, region: str) -> tuple[dict[str, VerdictKind], int]:
    store = await open_s3(fleet.bucket, endpoint=fleet.endpoint, region=region)
    try:
        chain = PolicyChain(store, ORIGIN_VERDICTS, retry=Retry())
        entries = [key async for key in store.list("policy/v1/origin-verdicts/") if key.key.endswith(".json")]
        return {name: value.kind for name, value in (await chain.everything()).items()}, len(entries)
    finally:
        await store.close()


def lived(fleet: Fleet, region: str, kills: int, rng: random.Random, copies: int = 6) -> Ended:
    """A judge at a time: each gets a part of the observations, and is killed some time after it began."""
    seen = observed(copies)
    parts = kills + 1
    topic = fleet.prefix + origin_observations.NAME
    for life in range(parts):
        part = seen[len(seen) * life // parts : len(seen) * (life + 1) // parts]
        asyncio.run(sent(fleet.bootstrap, topic, part))
        judge = fleet.worker(f"judge-{life}", role="judge", **EAGER)
        if life < kills:
            if rng.random() < 0.8:  # else it dies on its way
                judge.wait_ready()
            time.sleep(rng.uniform(0, 1.0))
            judge.kill()
    judge.wait_ready()
    wanted = expected(seen)

    folded_by_now, since = -1.0, time.monotonic()
    while wanted.keys() - asyncio.run(on_record(fleet, region))[0].keys():
        assert judge.process.poll() is None, judge.log()
        done = judge.metric("strongroom_judge_observations_total")
        if done != folded_by_now:
            folded_by_now, since = done, time.monotonic()
        if time.monotonic() - since > IDLE:
            break  # it has done what it will ever do
        time.sleep(0.5)
    wait_until(lambda: judge.metric("strongroom_lag_records") == 0, WITHIN, judge.log)
    repeated = judge.metric('strongroom_judge_observations_total{outcome="repeated"}')
    assert judge.stop() == 0, judge.log()
    found, entries = asyncio.run(on_record(fleet, region))
    names = wanted.keys() | found.keys()
    unlike = {
        name: (wanted.get(name), found.get(name)) for name in names if wanted.get(name) != found.get(name)
    }
    return Ended(kills, unlike, len(found), entries, repeated)


def main() -> int:
    from tests.stack import ladder  # noqa: PLC0415 - for the command alone
    from tests.stack.kafka import kafka_on  # noqa: PLC0415 - as above
    from tests.stack.s3 import s3_on  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--copies", type=int, default=40, help="hosts a key that get a verdict")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    kafka, s3 = kafka_on(ladder.kafka()), s3_on(ladder.s3())
    kafka.start()
    s3.start()
    os.environ |= {"AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"t{uuid.uuid4().hex[:8]}-"
        fleet = Fleet(Path(folder), kafka.bootstrap, s3.endpoint, s3.bucket(), prefix, partitions=2)
        try:
            fleet.create()
            begun = time.monotonic()
            ended = lived(fleet, s3.region, asked.kills, random.Random(asked.seed), asked.copies)
        finally:
            fleet.close()
            kafka.close()
            s3.close()
    print(f"seed {asked.seed}: {ended.kills} kills, {time.monotonic() - begun:.0f} s")
    unlike = f"{len(ended.unlike)} unlike an undisturbed judge's"
    print(f"{ended.verdicts} verdicts in {ended.entries} entries, {unlike}")
    for name, (wanted, found) in ended.unlike.items():
        print(f"WRONG: {name}: {found}, not {wanted}")
    return int(bool(ended.unlike))


if __name__ == "__main__":
    sys.exit(main())
