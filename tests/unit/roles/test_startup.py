"""A bucket that would delete the ledger behind everybody's back is refused; root keys are proven."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from tests.contract.roots.fake_kms import FakeKms, arn
from workers.errors import Fatal, Retryable
from workers.roles.startup import Bucket, Surroundings, check_lifecycle
from workers.sealing.kms import KmsRoot
from workers.sealing.roots import Roots
from workers.store.memory import MemoryStore
from workers.store.port import Denied, Unavailable
from workers.store.retry import Retry
from workers.stream.connection import KafkaConnection


@pytest.mark.parametrize("rule", ["", "ledger/", "led", "ledger/v1/raw/", "policy/", "keys/v1/ws=acme/"])
async def test_a_rule_that_touches_what_is_kept_for_ever(rule: str) -> None:
    store = MemoryStore()
    store.lifecycle = ["data/", rule]
    with pytest.raises(Fatal, match="lifecycle rule") as refused:
        await check_lifecycle(store)
    assert "Remove the rule" in refused.value.remedy


@pytest.mark.parametrize("rules", [[], ["data/"], ["data/ws=acme/", "probe/", "other/"]])
async def test_rules_for_the_rest_are_the_owners_business(rules: list[str]) -> None:
    store = MemoryStore()
    store.lifecycle = rules
    await check_lifecycle(store)


A, B = arn("a"), arn("b", "us-east-2")


class Started:
    """A worker's surroundings over one bucket, with a root key in each of two services."""

    def __init__(self, held: Sequence[str] = (A, B)) -> None:
        self.store = MemoryStore()
        self.kms = {key: FakeKms(key) for key in held}
        bucket = Bucket("bucket", self._open)
        self.surroundings = Surroundings(
            connect=lambda: KafkaConnection("127.0.0.1:1"),
            topics=(),
            buckets=(bucket,),
            data_bucket=bucket,
            ledger_bucket=bucket,
            root_keys=self._roots,
            group="group",
            retry=Retry(attempts=1),
        )
        self.surroundings.log = HereLog()  # type: ignore[assignment]  # takes cached_property's place

    async def _open(self) -> MemoryStore:
        return self.store

    @asynccontextmanager
    async def _roots(self) -> AsyncIterator[Roots]:
        yield Roots([KmsRoot(kms, key) for key, kms in self.kms.items()])

    async def check(self, name: str, *, enroll: bool) -> str:
        [check] = [each for each in self.surroundings.checks(enroll=enroll) if each.name == name]
        return await check.run()


class HereLog:
    async def cluster_id(self) -> str:
        return "cluster"

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("enroll", [True, False])
async def test_each_root_key_wraps_and_opens_a_probe_and_is_named(enroll: bool) -> None:
    started = Started()
    said = await started.check("root key", enroll=enroll)
    assert f"kms:{A}" in said
    assert f"kms:{B}" in said
    for kms in started.kms.values():
        assert kms.operations == ["encrypt", "decrypt"]


@pytest.mark.parametrize("failure", [Unavailable("down"), Denied("denied")], ids=str)
async def test_a_worker_starts_while_one_root_key_is_out_of_reach_and_the_doctor_tells(
    failure: Retryable,
) -> None:
    started = Started()
    started.kms[B].fails["encrypt"] = failure
    with capture_logs() as logs:
        await started.check("root key", enroll=True)
    assert [(line["event"], line["root"]) for line in logs] == [("root_key_out_of_reach", f"kms:{B}")]
    with pytest.raises(type(failure), match=f"root key kms:{B}: {failure.message}"):
        await started.check("root key", enroll=False)


async def test_without_any_root_key_in_reach_no_worker_starts() -> None:
    started = Started()
    started.kms[A].fails["encrypt"] = Unavailable("one is down")
    started.kms[B].fails["encrypt"] = Denied("two is denied")
    for enroll in (True, False):
        with pytest.raises(Retryable, match=r"one is down.*two is denied"):
            await started.check("root key", enroll=enroll)


async def test_a_root_key_that_no_waiting_mends_stops_a_worker() -> None:
    started = Started()
    started.kms[B].fails["encrypt"] = Fatal("two is gone", remedy="Name another")
    for enroll in (True, False):
        with pytest.raises(Fatal, match=r"two is gone.*Name another"):
            await started.check("root key", enroll=enroll)
    started.kms[A].fails["encrypt"] = Unavailable("one is down")
    for enroll in (True, False):
        with pytest.raises(Fatal, match=r"one is down.*two is gone.*Name another"):
            await started.check("root key", enroll=enroll)


async def test_a_root_key_that_the_fleet_does_not_know_is_told() -> None:
    started = Started([A])
    await started.check("fleet", enroll=True)
    more = Started()
    more.store = started.store
    with capture_logs() as logs:
        await more.check("fleet", enroll=True)
    assert [(line["event"], line["root"]) for line in logs] == [("root_not_of_fleet", f"kms:{B}")]
    assert f"does not know root key kms:{B}" in await more.check("fleet", enroll=False)


async def test_a_worker_that_lacks_a_root_key_of_the_fleet_does_not_start() -> None:
    started = Started()
    await started.check("fleet", enroll=True)
    less = Started([A])
    less.store = started.store
    for enroll in (True, False):
        with pytest.raises(Fatal, match=f"kms:{B}, which this worker lacks"):
            await less.check("fleet", enroll=enroll)


@pytest.mark.parametrize(("cluster", "group"), [("another", "group"), ("cluster", "another")])
async def test_a_role_without_root_keys_does_not_start_on_another_fleets_ledger(
    cluster: str, group: str
) -> None:
    """A retain worker on another Kafka would delete by the policy of another fleet."""

    async def compare(started: Started) -> str:
        (check,) = [each for each in started.surroundings.checks_without_roots() if each.name == "fleet"]
        return await check.run()

    started = Started()
    assert "no worker has started yet" in await compare(started)
    await started.check("fleet", enroll=True)
    assert await compare(started_on(started)) == "cluster and group are the fleet's"
    other = started_on(started)
    other.surroundings.group = group
    other.surroundings.log.cluster_id = lambda: _said(cluster)  # type: ignore[method-assign]  # another cluster's answer
    with pytest.raises(Fatal, match="this is another"):
        await compare(other)


def started_on(started: Started) -> Started:
    without = Started([])
    without.store = started.store
    return without


async def _said(cluster: str) -> str:
    return cluster
