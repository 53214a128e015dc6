"""What the generator says must become of each record is what the intake's rules make of it."""

from dataclasses import dataclass

from tests.runs import LOG_APPEND_TIME, runs_of
from topics import workspaces, write_keys
from topics.workspaces import Source, SourceType, Workspace, WorkspaceState
from topics.write_keys import KeyState, WriteKey
from workers import sample
from workers.intake.dispositions import PLATFORM
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, Sorting

NOW = 1_800_000_000_000


@dataclass
class Appended:
    offset: int
    timestamp: int
    timestamp_type: int
    value: bytes | None


def key_value(key: dict[str, str | int | None], state: KeyState, seq: int, now: int) -> bytes:
    until = key["untilAfterMs"]
    return write_keys.codec.encode(
        WriteKey(
            key=str(key["key"]),
            workspace=str(key["workspace"]),
            source=str(key["source"]),
            state=state,
            until=now + until if isinstance(until, int) and state is KeyState.RETIRING else None,
            changed_at=now,
            shard=0,
            seq=seq,
        )
    )


def test_the_rules_decide_as_planted() -> None:
    data, policy, sorting = sample.policy(), Policy(), Sorting()
    sorter = Sorter(policy)
    for workspace in data["workspaces"]:
        policy.apply_workspace(
            workspaces.codec.encode(
                Workspace(
                    id=workspace["id"],
                    state=WorkspaceState(workspace["state"]),
                    sources=tuple(
                        Source(
                            id=s["id"], type=SourceType(s["type"]), allowed_origins=tuple(s["allowedOrigins"])
                        )
                        for s in workspace["sources"]
                    ),
                    allowed_origins=tuple(workspace["allowedOrigins"]),
                    retention_days=workspace["retentionDays"],
                    changed_at=NOW,
                    shard=0,
                    seq=1,
                )
            )
        )
    for key in data["keys"]:
        policy.apply_write_key(key_value(key, KeyState.ACTIVE, 1, NOW))
        if key["state"] != "active":
            policy.apply_write_key(key_value(key, KeyState(key["state"]), 2, NOW))
    (change,) = data["revokeDuring"]
    records = [Appended(n, NOW + 1 + n, LOG_APPEND_TIME, line) for n, line in enumerate(sample.lines())]
    cut = change["afterRecords"]
    sorter.sort(runs_of(records[:cut]), now=NOW, into=sorting)
    revoked = next(key for key in data["keys"] if key["key"] == change["key"])
    policy.apply_write_key(key_value(revoked, KeyState.REVOKED, 2, NOW))
    sorter.sort(runs_of(records[cut:]), now=NOW, into=sorting)

    expected: dict[tuple[str, str], int] = {}
    for dispositions in data["expected"].values():
        for disposition, reasons in dispositions.items():
            for reason, count in reasons.items():
                expected[disposition, reason] = expected.get((disposition, reason), 0) + count
    got = {(d.value, reason): n for d, reasons in sorting.counts.items() for reason, n in reasons.items()}
    assert got == expected
    stored: dict[tuple[str, str], int] = {}
    for group, lines in sorting.lines.items():
        key_ = (group.workspace, group.disposition.value)
        stored[key_] = stored.get(key_, 0) + len(lines)
    assert stored == {
        (workspace, disposition): sum(reasons.values())
        for workspace, dispositions in data["expected"].items()
        for disposition, reasons in dispositions.items()
        if disposition != "rejected"
    }
    assert (PLATFORM, "dead-lettered") in stored
