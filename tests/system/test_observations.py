"""What a worker tells the judge of an own host and its copy, long before it is committed."""

import json
import time
import uuid
from collections.abc import Sequence
from itertools import pairwise

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.system.fleet import Fleet, wait_until
from tests.system.traffic import envelope, produce
from topics.origin_observations import OriginObservation, codec
from workers.origins.seen import Observed

pytestmark = pytest.mark.system

OWN, COPY = "https://www.shop.example", "https://copy.example"


def visit(host: str, n: int) -> tuple[str, bytes]:
    """To page N of the shop, which says that it is on its own host. Each host has visitors of its own."""
    page = {"url": f"{OWN}/planted/{n}", "path": f"/planted/{n}", "title": f"planted shoe {n}"}
    visitor = f"planted visitor {n} of {host}"
    event = {"anonymousId": visitor, "context": {"page": page}}
    value = json.loads(envelope("k1", f"{host} {n}", origin=host, **event))
    value |= {"ip": f"203.0.{n}.9", "userAgent": "planted browser"}
    return visitor, json.dumps(value).encode()


def values(fleet: Fleet) -> list[bytes]:
    """All of the topic."""
    consumer = Consumer({"bootstrap.servers": fleet.bootstrap, "group.id": uuid.uuid4().hex})
    topic = f"{fleet.prefix}origin-observations"
    try:
        parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        places = [TopicPartition(topic, number, 0) for number in parts]
        left = sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)
        consumer.assign(places)
        found: list[bytes] = []
        until = time.monotonic() + 30
        while len(found) < left and time.monotonic() < until:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                found.append(message.value() or b"")
        return found
    finally:
        consumer.close()


def folded(found: Sequence[bytes]) -> dict[str, int]:
    seen = Observed("acme")
    seen.add(found)
    assert seen.unreadable == 0
    return {host: total.records for host, total in seen.hosts()}


def hashes(rows: Sequence[OriginObservation], host: str, what: str) -> set[int]:
    return {each for row in rows if row.host == host for each in getattr(row, what)}


def test_hosts_are_observed_before_the_commit_and_once_whoever_reads_them_again(fleet: Fleet) -> None:
    fleet.run(*("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "[*.]shop.example"))
    fleet.run("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    slow = {"STRONGROOM_OBSERVE_INTERVAL": "1", "STRONGROOM_FLUSH_INTERVAL": "600"}
    slow |= {"STRONGROOM_SESSION_TIMEOUT": "6", "STRONGROOM_HEARTBEAT_INTERVAL": "1"}
    first = fleet.worker(**slow).wait_ready()
    visits = [*(visit(OWN, n) for n in range(40)), *(visit(COPY, n) for n in range(30))]
    ends = produce(fleet.bootstrap, f"{fleet.prefix}raw-events", visits)
    whole = {"www.shop.example": 40, "copy.example": 30}
    wait_until(lambda: folded(values(fleet)) == whole, 60, first.log)
    assert first.metric("strongroom_commits_total") == 0

    found = values(fleet)
    assert not any(b"planted" in value or b"203.0." in value for value in found)
    rows = [codec.decode(value) for value in found]
    assert {(row.host, row.own) for row in rows} == {("www.shop.example", True), ("copy.example", False)}
    assert sum(row.canonical_shadows for row in rows) == 30
    own_pages, copied = (hashes(rows, host, "pages") for host in whole)
    assert (len(own_pages), len(copied), copied < own_pages) == (40, 30, True)
    own_visitors, others = (hashes(rows, host, "anonymous_ids") for host in whole)
    assert (len(own_visitors), len(others), own_visitors & others) == (40, 30, set())
    for partition, end in ends.items():
        spans = sorted({(row.start, row.end) for row in rows if row.partition == partition})
        assert (spans[0][0], spans[-1][1]) == (0, end)
        assert all(before[1] == after[0] for before, after in pairwise(spans))

    first.kill()  # nothing is committed: the next one reads all of it again
    second = fleet.worker("worker-1", **slow).wait_ready()
    wait_until(lambda: second.metric("strongroom_observations_total") >= 2 * len(ends), 60, second.log)
    assert folded(values(fleet)) == whole
    assert second.stop() == 0
