"""Holds closing certificates against the ledger and the keystore: all is gone, and as much as they say."""

from topics.workspaces import Workspace, WorkspaceState
from workers.errors import Fatal
from workers.ledger.verify_report import Kind, Report
from workers.retention import closing_certificate, names
from workers.retention.census import Registrar
from workers.retention.due import PolicyView
from workers.retention.index import UnitIndex
from workers.sealing.replicas import Replicas
from workers.sealing.rows import State, workspace_row
from workers.store.port import Store
from workers.store.retry import Retry


async def audit(
    ledger: Store, rows: Replicas, index: UnitIndex, retry: Retry, report: Report, now: int
) -> None:
    """Adds findings. `now` in ms since the epoch. Requests: one list of certificates; where a workspace has a
    closing one, its certificates, and all that a plan reads, but for what the index has read already.
    """
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


async def _of_one(ledger: Store, rows: Replicas, retry: Retry, workspace: str) -> list[str]:
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
    copies = await retry.call(lambda: rows.copies(workspace_row(workspace)))
    if any(row is None or row.state is not State.TOMBSTONE for row in copies):
        wrong.append(
            f"{workspace_row(workspace)} is no tombstone: the key is still there, or was never destroyed"
        )
    return wrong
