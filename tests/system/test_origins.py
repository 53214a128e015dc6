"""A copy is caught, released or blocked, while the customer's own pages go on: with a worker as it runs."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable

import pytest

from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

OWN, COPY, OTHER = "https://www.shop.example", "https://copy.example", "https://other.example"


def judge(fleet: Fleet, *hosts: str) -> None:
    """Calls them copies. Returns when the verdicts are acknowledged."""
    subprocess.run(
        [sys.executable, "-m", "tests.system.as_judge", "acme", "k1", *hosts],
        env=fleet.environment(),
        check=True,
        timeout=60,
    )


def send(fleet: Fleet, worker: Worker, name: str, *origins: str, each: int = 40) -> None:
    """Records `NAME ORIGIN N`, committed when this returns."""
    due = worker.metric("strongroom_records_total") + each * len(origins)
    records = [
        (f"{name}{n}", envelope("k1", f"{name} {origin} {n}", origin=origin))
        for n in range(each)
        for origin in origins
    ]
    produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)
    wait_until(lambda: worker.metric("strongroom_records_total") >= due, 60, worker.log)


def stored(fleet: Fleet, *dispositions: str) -> Counter[tuple[str, str]]:
    """(name, origin) → records, each of which is there once."""
    options = [option for each in dispositions for option in ("--disposition", each)]
    lines = fleet.run("read", "--workspace", "acme", "--unwrap", *options).stdout.splitlines()
    ids = [json.loads(line)["messageId"] for line in lines]
    assert len(set(ids)) == len(ids)
    return Counter((each.split()[0], each.split()[1]) for each in ids)


def all_of(name: str, origins: Iterable[str], each: int = 40) -> Counter[tuple[str, str]]:
    return Counter({(name, origin): each for origin in origins})


def test_a_copy_is_quarantined_released_and_blocked_and_the_own_host_loses_nothing(fleet: Fleet) -> None:
    fleet.run(
        *("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "[*.]shop.example"),
        *("--origins", "quarantine"),
    )
    fleet.run("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    worker = fleet.worker().wait_ready()
    judge(fleet, "copy.example", "other.example")
    time.sleep(1.0)  # the promise
    send(fleet, worker, "judged", OWN, COPY, OTHER)
    assert stored(fleet, "quarantined") == all_of("judged", [COPY, OTHER])

    about = ("--workspace", "acme", "--reason", "they rang")
    approved = fleet.run("origins", "approve", "copy.example", *about, "--wait")
    assert b"1 of 1 live workers have applied it" in approved.stderr
    (moved,) = fleet.json("origins", "release", "--host", "copy.example", *about)
    assert (moved["source"], moved["became"], moved["records"]) == ("web", "accepted", 40)
    (gone,) = fleet.json("origins", "discard", "--host", "other.example", *about)
    assert (gone["became"], gone["records"]) == ("discarded", 40)
    send(fleet, worker, "approved", OWN, COPY)
    fleet.run("origins", "block", "copy.example", *about, "--wait")
    send(fleet, worker, "blocked", OWN, COPY)
    kept = all_of("judged", [OWN, COPY]) + all_of("approved", [OWN, COPY]) + all_of("blocked", [OWN])
    assert stored(fleet) == kept
    assert worker.stop() == 0
    (refused,) = fleet.json("rejections", "--workspace", "acme")
    assert (refused["reason"], refused["host"], refused["records"]) == ("blocked_origin", "copy.example", 40)
    assert fleet.json("verify", "--deep")["clean"]
