"""What must hold before a worker fetches anything; `strongroom doctor` runs the same checks and tells.

Each check names the thing and the remedy in the error that it raises.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import structlog

from topics.registry import TopicSpec
from workers.errors import Fatal, Retryable, StrongroomError
from workers.ledger import fleet
from workers.ledger.fleet import Fleet
from workers.ledger.policy_logs import PolicyLogs
from workers.sealing.roots import Roots
from workers.store.port import Denied, Store
from workers.store.proof import prove
from workers.store.retry import Retry
from workers.stream.admin import check_topics
from workers.stream.connection import KafkaConnection
from workers.stream.log import Log

# what a bucket must never delete by itself; a chain without its entries proves nothing
KEPT_FOR_EVER = (
    *("fleet.json", "ledger/", "checkpoints/", "units/", "policy/", "keys/"),
    *("retention/", "certificates/"),
)


JOIN = "Wrap the workspaces' keys by it too: `strongroom keystore rotate root`"
ROOT_KEY, FLEET, POLICY = "root key", "fleet", "policy"
NOBODY_YET = "no worker has started yet: the first one fixes root keys, cluster and group"

log = structlog.get_logger()


class Check(NamedTuple):
    name: str
    run: Callable[[], Awaitable[str]]  # says what was found; raises StrongroomError


class Bucket:
    """Opened when it is first asked for, so that one that can't be opened fails its own checks alone."""

    def __init__(self, name: str, opening: Callable[[], Awaitable[Store]]) -> None:
        self.name = name
        self._opening = opening
        self._store: Store | None = None

    async def open(self) -> Store:
        if self._store is None:
            self._store = await self._opening()
        return self._store

    @property
    def store(self) -> Store:
        """Once it is open."""
        assert self._store is not None, f"{self.name} was not opened"  # noqa: S101  # a fault of ours
        return self._store

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()


@dataclass
class Surroundings:
    """What a worker of this fleet stands on. Nothing of it is touched before its check."""

    connect: Callable[[], KafkaConnection]  # reads certificates
    topics: Sequence[TopicSpec]
    buckets: Sequence[Bucket]  # each once
    data_bucket: Bucket
    ledger_bucket: Bucket
    root_keys: Callable[[], AbstractAsyncContextManager[Roots]]
    group: str
    retry: Retry
    policy_topics: Mapping[str, str] = field(default_factory=dict)  # name in Kafka → its policy chain's
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    _roots: Roots | None = None

    @cached_property
    def connection(self) -> KafkaConnection:
        return self.connect()

    @cached_property
    def log(self) -> Log:
        return Log(self.connection)

    @property
    def data(self) -> Store:
        """Once the checks are passed, as the next."""
        return self.data_bucket.store

    @property
    def ledger(self) -> Store:
        return self.ledger_bucket.store

    async def roots(self) -> Roots:
        """Opened when they are first asked for."""
        if self._roots is None:
            self._roots = await self._opened.enter_async_context(self.root_keys())
        return self._roots

    async def close(self) -> None:
        await self._opened.aclose()
        if "log" in vars(self):  # as cached_property keeps it
            await self.log.close()
        for bucket in self.buckets:
            await bucket.close()

    def checks_without_roots(self) -> list[Check]:
        """As `checks`, for a role that has no root key."""
        own = [check for check in self.checks(enroll=False) if check.name not in (ROOT_KEY, FLEET)]
        return [*own, Check(FLEET, self._compare_place)]

    def checks(self, *, enroll: bool) -> list[Check]:
        """In the order in which they can succeed. With `enroll` the first worker writes fleet.json."""
        return [
            Check("kafka", self._kafka),
            Check("topics", self._topics),
            *(Check(bucket.name, partial(self._bucket, bucket)) for bucket in self.buckets),
            Check(ROOT_KEY, partial(self._root_key, strict=not enroll)),
            Check(FLEET, self._enroll if enroll else self._compare),
        ]

    def policy_check(self) -> Check:
        """For who decides by policy: that Kafka's topics are those which it was published to."""
        return Check(POLICY, self._policy)

    async def _policy(self) -> str:
        ids = await self.log.topic_ids(self.policy_topics)
        logs = PolicyLogs(await self.ledger_bucket.open(), self.retry)
        await logs.check({self.policy_topics[topic]: topic_id for topic, topic_id in ids.items()})
        return "its topics are those which it was published to"

    async def _kafka(self) -> str:
        return f"cluster {await self.log.cluster_id()} at {self.connection.bootstrap}"

    async def _topics(self) -> str:
        mismatches = await check_topics(self.connection, self.topics)
        if mismatches:
            raise Fatal(
                "; ".join(str(mismatch) for mismatch in mismatches),
                remedy="`strongroom topics create` creates what is missing; change the other properties with "
                "Kafka's own tools, or the settings that ask for them",
            )
        return f"{len(self.topics)} as declared"

    async def _bucket(self, bucket: Bucket) -> str:
        store = await bucket.open()
        await prove(store)
        await check_lifecycle(store)
        return "honours If-None-Match and If-Match"

    async def _root_key(self, strict: bool) -> str:
        roots = await self.roots()
        if failures := await roots.failures():
            _refuse_roots(failures, roots, strict)
        return f"{', '.join(roots.fingerprints)}: wrap and open"

    async def _fleet(self) -> Fleet:
        return fleet.of((await self.roots()).fingerprints, await self.log.cluster_id(), self.group)

    async def _enroll(self) -> str:
        mine = await self._fleet()
        stored = await fleet.enroll(await self.ledger_bucket.open(), mine, self.retry)
        for root in fleet.surplus(stored, mine.fingerprints):
            log.warning("root_not_of_fleet", root=root, remedy=JOIN)
        return "this worker belongs to it"

    async def _compare_place(self) -> str:
        ledger = await self.ledger_bucket.open()
        stored = await fleet.stored_fleet(ledger, self.retry)
        if stored is None:
            return NOBODY_YET
        fleet.check_place(stored, await self.log.cluster_id(), self.group, f"{ledger.name}/fleet.json")
        return "cluster and group are the fleet's"

    async def _compare(self) -> str:
        ledger = await self.ledger_bucket.open()
        stored = await fleet.stored_fleet(ledger, self.retry)
        if stored is None:
            return NOBODY_YET
        mine = await self._fleet()
        fleet.check(stored, mine, f"{ledger.name}/fleet.json")
        if unknown := fleet.surplus(stored, mine.fingerprints):
            return (
                f"cluster and group are the fleet's; it does not know root key {', '.join(unknown)}. {JOIN}"
            )
        return "root keys, cluster and group are the fleet's"


def _refuse_roots(failures: Mapping[str, StrongroomError], roots: Roots, strict: bool) -> None:
    """A worker starts while one root key opens and the others may come back; the doctor names each."""
    passing = all(isinstance(error, Retryable) for error in failures.values())
    if passing and not strict and len(failures) < len(roots.fingerprints):
        for name, error in failures.items():
            log.warning("root_key_out_of_reach", root=name, why=error.message, remedy=error.remedy)
        return
    worst = next((each for each in failures.values() if not isinstance(each, Retryable)), None)
    worst = worst or next(iter(failures.values()))
    said = "; ".join(f"root key {name}: {error.message}" for name, error in failures.items())
    raise type(worst)(said, remedy=worst.remedy)


async def check_lifecycle(store: Store) -> None:
    """Raises Fatal for a rule that would delete entries, policy or keys behind everybody's back."""
    try:
        rules = await store.expiring()
    except Denied:
        return  # a role need not be allowed to read the rules
    for rule in rules:
        for kept in KEPT_FOR_EVER:
            if rule.startswith(kept) or kept.startswith(rule):
                raise Fatal(
                    f"{store.name} has a lifecycle rule for {rule!r}, which deletes from {kept}",
                    remedy="Remove the rule, or narrow it: only data/ may expire, and retention sees to that",
                )
