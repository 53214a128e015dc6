"""The retain role: plans what is past its retention, and disposes of it. Without a root key."""

import os
import socket
from contextlib import AsyncExitStack
from importlib.metadata import version

import structlog
from msgspec import Raw

from topics import audit, retention_tasks, workspaces
from topics.audit import AuditRecord
from workers import opening
from workers.errors import Fatal
from workers.intake.policy import Policy
from workers.ledger.entries import Writer
from workers.observe.health import Steps, Verdict
from workers.observe.holds import Holds
from workers.retention import certificate, closing_certificate
from workers.retention.agent import Agent, Planned
from workers.retention.census import Registrar
from workers.retention.certificate import Certificate
from workers.retention.close import Closer
from workers.retention.closing_certificate import ClosingCertificate
from workers.retention.dispose import Disposer, Terms
from workers.retention.due import PolicyView, Unusable
from workers.retention.index import UnitIndex
from workers.retention.plan import Limits
from workers.retention.truth import Truth
from workers.roles import process
from workers.roles.first_of import first_of
from workers.roles.loop_watch import LoopWatch, Waiting
from workers.roles.policy_copy import PolicyCopy
from workers.roles.process import now
from workers.roles.retain_tasks import TaskOwner
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.publish import Publisher

log = structlog.get_logger()

PATIENCE = 60.0  # seconds for one request of a disposal; the next plan has the unit again


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped the worker otherwise. Returns the exit code."""
    # a step may be cut anywhere: whoever takes the unit next goes on from what the buckets hold
    return process.run(settings, _retain, stopped="stopped")


async def _retain(settings: Settings) -> None:
    holds, steps = Holds(), Steps()
    retry = Retry(hold=holds.declare)
    patient = Retry(hold=holds.declare, deadline=PATIENCE)
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(opening.health_server(settings))
        surroundings = await opened.enter_async_context(opening.open_surroundings(settings, retry))
        for check in surroundings.checks_without_roots():
            log.info("checked", check=check.name, found=await check.run())
        buckets = await opened.enter_async_context(opening.open_all_data(settings))
        rows = await opened.enter_async_context(opening.open_key_rows(settings))
        policy = Policy()
        copy = PolicyCopy(
            surroundings.connection,
            settings.topic_prefix,
            policy,
            settings.policy_stale_after,
            now,
            topics=(workspaces.NAME,),
        )
        opened.push_async_callback(copy.stop)
        await copy.start()
        publisher = Publisher(surroundings.connection)
        await publisher.start()
        opened.push_async_callback(publisher.stop)

        def view() -> PolicyView:
            return view_of(policy, stale=copy.stale())

        writer = Writer(
            settings.instance_id or f"{socket.gethostname()}:{os.getpid()}", version("strongroom")
        )
        index = UnitIndex(surroundings.ledger, retry, now)
        truth = Truth(surroundings.ledger, view, now, patient)
        auditor = Auditor(publisher, settings.topic_prefix + audit.NAME)
        agent = Agent(
            surroundings.ledger,
            Registrar(surroundings.ledger, index, retry, keeps=True),
            Disposer(
                surroundings.ledger,
                buckets,
                rows,
                index,
                truth.verdict,
                terms(settings),
                writer,
                socket.gethostname(),
                patient,
                now,
                index.reaches,
                auditor.tell,
            ),
            view,
            limits(settings),
            retry,
            now,
            steps.step,
        )
        closer = Closer(
            surroundings.ledger,
            rows,
            truth.closing,
            terms(settings).shred_latency,
            writer,
            socket.gethostname(),
            patient,
            now,
            auditor.tell_closed,
            steps.step,
        )

        async def close(planned: Planned, begun: int) -> None:
            await closer.advance_all(view(), planned.census, begun)

        owner = TaskOwner(
            agent,
            surroundings.log,
            publisher,
            settings.topic_prefix + retention_tasks.NAME,
            interval=settings.retain_interval,
            concurrency=settings.retain_concurrency,
            delete=settings.retain_delete,
            stale=copy.stale,
            now=now,
            hold=holds.declare,
            close=close,
        )
        stream = ArchiveStream(
            surroundings.connection,
            settings.topic_prefix + retention_tasks.NAME,
            settings.retain_group,
            owner,
            StreamOptions(
                session_timeout=settings.session_timeout,
                heartbeat_interval=settings.heartbeat_interval,
                instance_id=settings.instance_id,
                drain_timeout=settings.shutdown_timeout,
            ),
        )
        owner.stream = stream
        watch = Watch(owner, stream, holds, steps, settings.progress_timeout)
        server.watch(watch)
        await first_of(stream.run, owner.run, watch.run, copy.follow)
    log.info("stopped")


def terms(settings: Settings) -> Terms:
    return Terms(int(settings.destroy_after * 1000), int(settings.key_cache_life * 1000))


def limits(settings: Settings) -> Limits:
    return Limits(settings.retain_brake_workspace, settings.retain_brake_fleet, settings.retain_brake_least)


def view_of(policy: Policy, *, stale: bool) -> PolicyView:
    return PolicyView(policy.workspaces, frozenset(policy.in_doubt), Unusable.STALE if stale else None)


class Auditor:
    """Spreads certificates to the topic `audit`. One may come twice, under the same id."""

    def __init__(self, publisher: Publisher, topic: str) -> None:
        self._publisher = publisher
        self._topic = topic

    async def tell(self, issued: Certificate) -> None:
        """Raises Retryable while Kafka does not take it: the disposal is then not over yet."""
        record = AuditRecord(
            id=issued.name,
            workspace=issued.workspace,
            who=issued.worker.id,
            host=issued.host,
            at=issued.verified_at,
            why=f"{issued.reason}: {issued.words}"[:1000],
            action="retention.disposed",
            subject="/".join((issued.workspace, issued.source, issued.day, issued.clock)),
            after=Raw(certificate.encode(issued)),
        )
        await self._send(record)

    async def tell_closed(self, issued: ClosingCertificate) -> None:
        """As `tell`."""
        record = AuditRecord(
            id=issued.name,
            workspace=issued.workspace,
            who=issued.worker.id,
            host=issued.host,
            at=issued.verified_at,
            why=f"{issued.reason}: {issued.words}"[:1000],
            action="retention.closed",
            subject=issued.workspace,
            after=Raw(closing_certificate.encode(issued)),
        )
        await self._send(record)

    async def _send(self, record: AuditRecord) -> None:
        await self._publisher.send_and_wait(self._topic, audit.record_key(record), audit.codec.encode(record))


class Watch(LoopWatch):
    """Ends a worker that stands still in a plan or a disposal and declares no hold."""

    def __init__(
        self, owner: TaskOwner, stream: ArchiveStream, holds: Holds, steps: Steps, progress_timeout: float
    ) -> None:
        super().__init__(holds, steps, progress_timeout)
        self._owner = owner
        self._stream = stream

    def readyz(self) -> Verdict:
        ready = self._stream.assigned and self._owner.planned
        return Verdict(ready, "ready" if ready else "has not planned yet, or has no assignment")

    def doing(self) -> str:
        return "at work" if self._owner.busy else "waiting for the next plan"

    def waiting(self) -> Waiting:
        return Waiting(int(self._owner.busy))

    def stands_still(self, reason: str) -> Fatal:
        return Fatal(
            "no progress: a plan or a disposal stands still",
            remedy="Start it again; its last log lines say where it stood",
        )
