"""What a demo sets up, sends and expects fits together, for the sample and for a file of one's own."""

from pathlib import Path

from topics.workspaces import WorkspaceState
from topics.write_keys import KeyState
from workers.embedded.plan import OWN_KEY, file_plan, records, sample_plan
from workers.event_files import Kind

ENVELOPE = b'{"v":1,"writeKey":"mine","receivedAt":"2026-11-23T10:00:00.000Z","event":{}}'


def test_the_sample_plan_expects_every_record_that_it_sends() -> None:
    plan = sample_plan()
    with records(None) as lines:
        assert sum(1 for _ in lines) == plan.records
    assert plan.expected is not None
    assert plan.records == sum(
        count
        for dispositions in plan.expected.values()
        for reasons in dispositions.values()
        for count in reasons.values()
    )


def test_the_sample_revokes_a_key_that_is_active_while_records_flow() -> None:
    plan = sample_plan()
    states = {key.key: key.state for key in plan.keys}
    assert plan.revocations
    for revocation in plan.revocations:
        assert states[revocation.key] is KeyState.ACTIVE
        assert 0 < revocation.after_records < plan.records
    assert any(workspace.state is WorkspaceState.CLOSED for workspace in plan.workspaces)


def test_the_keys_of_a_file_become_those_of_one_workspace(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join([ENVELOPE, ENVELOPE, b'{"type":"track","event":"e"}', b"junk"]))
    plan = file_plan(str(file))
    assert [key.key for key in plan.keys] == ["mine", OWN_KEY]
    assert (plan.records, plan.expected) == (4, None)
    with records(str(file)) as lines:
        assert [record.kind for record in lines] == [
            Kind.ENVELOPE,
            Kind.ENVELOPE,
            Kind.WRAPPED,
            Kind.MALFORMED,
        ]
