"""Verdicts that do not come: their topic is cut off from a running worker, or made anew behind all."""

import pytest
from confluent_kafka.admin import AdminClient

from tests.stack.kafka import Kafka
from tests.stack.policy_cut import PolicyCut
from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.reader import Reader
from tests.system.test_origins import COPY, OWN, all_of, judge, send, stored

pytestmark = pytest.mark.system

APPROVED, BLOCKED, LATER = "https://partner.example", "https://thief.example", "https://later.example"
ALL = (OWN, COPY, APPROVED, BLOCKED)
ABOUT = ("--workspace", "acme", "--reason", "they rang")
STALE_AFTER = 5.0  # seconds
TOLD = "policy-published/v1/origin-verdicts/topic.json"
AGE = 'strongroom_policy_age_seconds{topic="origin-verdicts"}'


def set_up(fleet: Fleet) -> None:
    fleet.run(
        *("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "[*.]shop.example"),
        *("--origins", "quarantine"),
    )
    fleet.run("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    judge(fleet, "copy.example")
    fleet.run("origins", "approve", "partner.example", *ABOUT)
    fleet.run("origins", "block", "thief.example", *ABOUT)


def sample(worker: Worker, name: str) -> float:
    lines = worker.get("/metrics")[1].splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_by_verdicts_that_are_cut_off_nothing_is_held_quarantined_or_approved_and_the_block_stands(
    fleet: Fleet, kafka: Kafka
) -> None:
    set_up(fleet)
    with PolicyCut(kafka, [f"{fleet.prefix}origin-verdicts"]) as cut:
        worker = fleet.worker(STRONGROOM_KAFKA_BOOTSTRAP=cut.address).wait_ready()
        send(fleet, worker, "before", *ALL)
        cut.silence()
        wait_until(lambda: sample(worker, AGE) > STALE_AFTER, 30, worker.log)
        send(fleet, worker, "cut", *ALL)
        judge(fleet, "later.example")
        send(fleet, worker, "missed", OWN, LATER)
        assert sample(worker, 'strongroom_holding{cause="policy_stale"}') == 0
        assert cut.swallowed
        cut.heal()
        wait_until(lambda: sample(worker, AGE) < STALE_AFTER / 2, 60, worker.log)
        send(fleet, worker, "healed", *ALL, LATER)
        assert worker.stop() == 0
    assert stored(fleet, "accepted") == (
        all_of("before", [OWN, APPROVED])
        + all_of("cut", [OWN])
        + all_of("missed", [OWN])
        + all_of("healed", [OWN, APPROVED])
    )
    assert stored(fleet, "flagged") == all_of("cut", [COPY, APPROVED]) + all_of("missed", [LATER])
    assert stored(fleet, "quarantined") == all_of("before", [COPY]) + all_of("healed", [COPY, LATER])
    assert fleet.json("verify")["clean"]


def test_no_worker_starts_by_a_topic_that_was_made_anew_until_the_steward_has_published_verdicts_to_it(
    fleet: Fleet, reader: Reader
) -> None:
    set_up(fleet)
    steward = fleet.worker("steward-0", role="steward").wait_ready()
    wait_until(lambda: TOLD in set(reader.keys()), 60, steward.log)
    first = fleet.worker().wait_ready()
    send(fleet, first, "before", OWN, BLOCKED)
    steward.kill()
    topic = f"{fleet.prefix}origin-verdicts"
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    admin.delete_topics([topic])[topic].result(30)
    fleet.run("topics", "create")
    # one that runs goes on by what it knows
    send(fleet, first, "running", OWN, BLOCKED)
    assert first.stop() == 0
    late = fleet.worker("late")
    assert late.process.wait(60) == 1
    assert "made anew since policy was published to it: origin-verdicts" in late.log()
    (found,) = [each for each in fleet.json("doctor", code=1) if each["check"] == "policy"]
    assert found["state"] == "failed"

    again = fleet.worker("steward-1", role="steward")
    wait_until(lambda: "policy_published_anew" in again.log(), 60, again.log)
    worker = fleet.worker("after").wait_ready()
    send(fleet, worker, "after", OWN, BLOCKED)
    assert worker.stop() == 0
    assert stored(fleet) == all_of("before", [OWN]) + all_of("running", [OWN]) + all_of("after", [OWN])
