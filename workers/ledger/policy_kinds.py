"""The topics whose truth is a policy chain: how each one's values are named, checked and described."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from topics import origin_verdicts, workspaces, write_keys
from topics.codec import Codec, PolicyValue
from topics.origin_verdicts import OriginVerdict
from topics.workspaces import Workspace
from topics.write_keys import WriteKey
from workers.intake import key_states, verdict_states
from workers.intake.key_states import Refused
from workers.ledger.policy_entries import PolicyEntry

P = TypeVar("P", bound=PolicyValue)


@dataclass(frozen=True, slots=True)
class PolicyKind(Generic[P]):
    topic: str  # the registry's name, without a fleet's prefix
    codec: Codec[P]
    key: Callable[[P], str]  # what a value is about: compaction's key
    check: Callable[[P | None, P | None], None]  # (before, after): raises Refused
    workspace: Callable[[P], str]  # whose it is
    action: Callable[[P], str]  # what became of it, in a word
    effective_from: Callable[[P], int]  # ms since the epoch


def _check_workspace(before: Workspace | None, after: Workspace | None) -> None:
    if after is None:
        raise Refused(
            "a workspace can't be deleted: a missing policy means keep for ever",
            remedy="Close it: `strongroom workspaces set W --state closed`",
        )
    if before is not None and before.id != after.id:
        raise Refused(f"{before.id} can't become {after.id}", remedy="Set up another workspace")


WRITE_KEYS: PolicyKind[WriteKey] = PolicyKind(
    topic=write_keys.NAME,
    codec=write_keys.codec,
    key=lambda value: value.key,
    check=key_states.check,
    workspace=lambda value: value.workspace,
    action=lambda value: value.state.value,
    effective_from=lambda value: value.changed_at,
)

WORKSPACES: PolicyKind[Workspace] = PolicyKind(
    topic=workspaces.NAME,
    codec=workspaces.codec,
    key=lambda value: value.id,
    check=_check_workspace,
    workspace=lambda value: value.id,
    action=lambda value: "set",
    effective_from=lambda value: max(value.changed_at, value.effective_from or 0),
)

ORIGIN_VERDICTS: PolicyKind[OriginVerdict] = PolicyKind(
    topic=origin_verdicts.NAME,
    codec=origin_verdicts.codec,
    key=lambda value: origin_verdicts.subject(value.key, value.host),
    check=verdict_states.check,
    workspace=lambda value: value.workspace,
    action=lambda value: value.kind.value,
    effective_from=lambda value: value.changed_at,
)

KINDS: Mapping[str, PolicyKind[Any]] = {
    kind.topic: kind for kind in (WRITE_KEYS, WORKSPACES, ORIGIN_VERDICTS)
}


def refused(kind: PolicyKind[P], states: Mapping[str, P], entry: PolicyEntry) -> Iterator[str]:
    """What no command would have changed so, in words; `states` are those before the entry.

    Raises Poison for a change to something that is no value of this kind.
    """
    for change in entry.changes:
        before, after = states.get(change.key), kind.codec.decode(bytes(change.after))
        if bytes(change.before) != (kind.codec.encode(before) if before else b"null"):
            yield f"{change.key} did not stand as the change says"
        if kind.key(after) != change.key:
            yield f"{change.key} became a value of {kind.key(after)}"
        try:
            kind.check(before, after)
        except Refused as error:
            yield error.message
