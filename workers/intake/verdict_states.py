"""What may be said of a (write key, host) after what was said before (docs/origins.md, Verdicts).

The judge's word only grows stronger, and never stands against the customer's. A verdict is never deleted:
without it what was blocked would come in again, and what was approved would be judged anew.
"""

from collections.abc import Mapping
from types import MappingProxyType

from topics.origin_verdicts import CUSTOMERS, OriginVerdict, VerdictKind, subject
from workers.intake.key_states import Refused

# what stands (None: nothing was said) → what may follow
TRANSITIONS: Mapping[VerdictKind | None, frozenset[VerdictKind]] = MappingProxyType(
    {
        None: frozenset(VerdictKind),
        VerdictKind.SUSPECT: frozenset({VerdictKind.COPY, *CUSTOMERS}),
        VerdictKind.COPY: CUSTOMERS,
        VerdictKind.BENIGN: frozenset({VerdictKind.HOSTILE}),
        VerdictKind.HOSTILE: frozenset({VerdictKind.BENIGN}),
    }
)


def check(before: OriginVerdict | None, after: OriginVerdict | None) -> None:
    """Returns if `after` may follow `before`; raises Refused, naming what may."""
    if after is None:
        raise Refused(
            "a verdict can't be deleted: what was blocked would come in again",
            remedy="Approve the host: `strongroom origins approve HOST --workspace W`",
        )
    if before is None:
        return
    about = subject(after.key, after.host)
    if (before.key, before.host) != (after.key, after.host):
        raise Refused(
            f"the verdict on {subject(before.key, before.host)} can't become one on {about}",
            remedy="Say it of the other host",
        )
    if before.workspace != after.workspace:
        raise Refused(
            f"the verdict on {about} belongs to {before.workspace} and stays there",
            remedy="A write key never changes its workspace: look whose it is, `strongroom keys show`",
        )
    if not may_follow(before, after.kind):
        following = ", ".join(sorted(TRANSITIONS[before.kind]))
        raise Refused(
            f"the verdict on {about} is {before.kind} and can't become {after.kind}",
            remedy=f"From here it can become: {following}",
        )


def may_follow(before: OriginVerdict | None, after: VerdictKind) -> bool:
    return after in TRANSITIONS[before.kind if before is not None else None]
