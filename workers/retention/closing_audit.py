"""Holds closing certificates against the ledger and the keystore: all is gone, and as much as they say."""

from topics.workspaces import Workspace, WorkspaceState
from workers.errors import Fatal
from workers.ledger.verify_report import Kind, Report
from workers.retention import closing, closing_certificate, key_audit, names
from workers.retention.census import Registrar
from workers.retention.certificate_audit import LATE
from workers.retention.closing import Step
from workers.retention.due import PolicyView
from workers.retention.index import UnitIndex
from workers.sealing.replicas import Replicas
from workers.sealing.rows import workspace_row
from workers.store.port import Store
from workers.store.retry import Retry


async def audit(
    ledger: Store, rows: Replicas | None, index: UnitIndex, retry: Retry, report: Report, now: int
) -> None:
    """Adds findings. `rows` None: this auditor may not read the keystore. `now` in ms since the epoch.

    Requests: one list of closings under way, one of certificates; where a workspace has a closing one, its
    certificates, and all that a plan reads, but for what the index has read already.
    """
    await _late(ledger, retry, report, now)
    workspaces = {workspace async for workspace in closing_certificate.issued(ledger, retry)}
    if not workspaces:
        return
    for workspace in sorted(workspaces):
        for why in await _of_one(ledger, rows, retry, workspace):
            report.found(Kind.WRONG_CERTIFICATE, names.closing_certificate(workspace), why)
    # as if they were closed for long: what is live of each then is what no entry has disposed of
    closed = {
        each: Workspace(id=each, state=WorkspaceState.CLOSED, changed_at=0, shard=0, seq=0)
        for each in workspaces
    }
    registrar = Registrar(ledger, index, retry, anew=True)
    try:
        census = await registrar.census(PolicyView(closed), now)
    except Fatal:
        return  # a ledger that is broken is found where it lies
    for held in census.held:
        if held.objects and held.unit.workspace in workspaces:
            where = names.closing_certificate(held.unit.workspace)
            report.found(
                Kind.WRONG_CERTIFICATE, where, f"{'/'.join(held.unit)} has {held.objects} objects still"
            )


async def _late(ledger: Store, retry: Retry, report: Report, now: int) -> None:
    """Workspaces whose key was destroyed long ago, and that have no certificate yet."""
    async for workspace in closing.under_way(ledger, retry):
        where = names.closing(workspace)
        try:
            stood = await closing.read(ledger, workspace, retry)
            issued = await closing_certificate.read(ledger, workspace, retry)
        except Fatal as error:
            report.found(Kind.UNCERTIFIED, where, error.message)
            continue
        if stood is None or issued is not None or stood.closing.begun_at >= now - LATE:
            continue
        if stood.closing.step is Step.DESTROYING:
            report.found(Kind.UNCERTIFIED, where, f"no {names.closing_certificate(workspace)}")


async def _of_one(ledger: Store, rows: Replicas | None, retry: Retry, workspace: str) -> list[str]:
    try:
        issued = await closing_certificate.read(ledger, workspace, retry)
        if issued is None:
            return []  # deleted since it was listed
        found = await closing_certificate.summed(ledger, workspace, retry, until=issued.verified_at)
    except Fatal as error:
        return [error.message]
    wrong = []
    if issued.disposed != found.totals:
        wrong.append("disposed: not as in the workspace's certificates")
    if issued.key != workspace_row(workspace):
        wrong.append(f"key: {issued.key} is another's")
    if rows is not None:
        wrong += await key_audit.left(rows, workspace_row(workspace), retry)
    return wrong
