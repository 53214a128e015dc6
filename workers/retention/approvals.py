"""What a person allowed to go although it braked: on record, for so much, by so much policy, for a while."""

import msgspec

from workers.by import By
from workers.errors import Fatal
from workers.intake.kept import DAY
from workers.ledger.walk import listed
from workers.retention import names
from workers.retention.plan import Approval, Brake, Part
from workers.store.port import NotFound, Store
from workers.store.retry import Retry

FORMAT = 1
GOOD_FOR = 7 * DAY  # ms: longer than a disposal takes; what falls due later is looked at again


class Approved(msgspec.Struct, frozen=True, kw_only=True):
    """The newest of a scope (a workspace, or plan.FLEET) replaces the one before it."""

    format: int = FORMAT
    scope: str
    stored_bytes: int
    policy: tuple[int, int] | None
    until: int  # ms since the epoch, as `at`
    who: str
    host: str
    why: str
    at: int
    words: str  # what braked, as the person saw it
    parts: dict[str, Part] = {}  # of plan.FLEET: what was due of which workspace


def of(brake: Brake, by: By) -> Approved:
    return Approved(
        scope=brake.scope,
        stored_bytes=brake.backlog,
        policy=brake.policy,
        until=by.now + GOOD_FOR,
        who=by.who,
        host=by.host,
        why=by.why,
        at=by.now,
        words=brake.words,
        parts=dict(brake.parts),
    )


async def keep(store: Store, approved: Approved, retry: Retry) -> None:
    body = msgspec.json.encode(approved, order="sorted")
    await retry.call(lambda: store.put(names.approval(approved.scope), body))


async def standing(store: Store, retry: Retry) -> dict[str, Approval]:
    """By scope. Raises Fatal for one that can't be read: nobody knows what it allowed."""
    found: dict[str, Approval] = {}
    async for stat in listed(store, names.APPROVALS, retry):
        try:
            body = (await retry.call(lambda key=stat.key: store.get(key))).body  # type: ignore[misc] # bound early
            approved = msgspec.json.decode(body, type=Approved)
        except NotFound:
            continue
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Fatal(
                f"{store.name}/{stat.key} is no approval: {error}", remedy="Delete it, and approve again"
            ) from None
        found[approved.scope] = Approval(
            approved.stored_bytes, approved.policy, approved.until, approved.parts
        )
    return found
