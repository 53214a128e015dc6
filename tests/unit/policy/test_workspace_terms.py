"""Changes of a workspace: nothing is deleted sooner than a day after it was said, nonsense is refused."""

from typing import Any

import msgspec
import pytest

from topics.workspaces import Source, SourceType, Workspace, WorkspaceState, codec
from workers.errors import Poison
from workers.intake.key_states import Refused
from workers.ledger.workspace_terms import (
    GRACE_MS,
    checked_days,
    decided,
    fresh,
    with_document,
    with_retention,
    with_source,
)

NOW = 1_000_000_000_000


def workspace(**fields: Any) -> Workspace:
    return Workspace(**{"id": "acme", "changed_at": 1, "shard": 4, "seq": 9, **fields})


def web(days: int | None = None) -> tuple[Source, ...]:
    return (Source(id="web", retention_days=days),)


SHORTER: list[tuple[Workspace | None, Workspace]] = [
    (None, workspace(retention_days=30)),  # a missing policy means keep
    (workspace(), workspace(retention_days=30)),
    (workspace(retention_days=30), workspace(retention_days=29)),
    (workspace(sources=web()), workspace(sources=web(5))),
    (workspace(sources=web(30)), workspace(sources=web(5))),
    (workspace(retention_days=30), workspace(retention_days=30, sources=web(5))),
    (
        workspace(retention_days=5, sources=web(30)),
        workspace(retention_days=5),
    ),  # falls back to the workspace's
    (workspace(retention_days=5, sources=web(30)), workspace(retention_days=9, sources=web())),
    (workspace(retention_days=30, legal_hold=True), workspace(retention_days=30)),
    (workspace(sources=web(30), legal_hold=True), workspace(sources=web(30))),
    (workspace(legal_hold=True), workspace()),  # what is quarantined expires, whatever else is kept
    (workspace(), workspace(state=WorkspaceState.CLOSED)),
]
NOT_SHORTER: list[tuple[Workspace | None, Workspace]] = [
    (None, workspace()),
    (workspace(retention_days=30), workspace(retention_days=31)),
    (workspace(retention_days=30), workspace()),
    (workspace(sources=web(5)), workspace(sources=web())),
    (workspace(retention_days=30), workspace(retention_days=30, plan="gold")),
    (workspace(retention_days=30), workspace(retention_days=30, legal_hold=True)),
    (workspace(retention_days=30, sources=web(30)), workspace(retention_days=30)),
    (workspace(state=WorkspaceState.CLOSED), workspace()),
]


@pytest.mark.parametrize(("before", "after"), SHORTER)
def test_what_makes_more_deletable_waits_a_day(before: Workspace | None, after: Workspace) -> None:
    value = decided(before, after, now=NOW)
    assert value is not None
    assert value.effective_from == NOW + GRACE_MS


@pytest.mark.parametrize(("before", "after"), NOT_SHORTER)
def test_what_keeps_more_holds_at_once(before: Workspace | None, after: Workspace) -> None:
    value = decided(before, after, now=NOW)
    assert value is not None
    assert value.effective_from is None


def test_another_change_does_not_cut_a_grace_short() -> None:
    pending = workspace(retention_days=10, effective_from=NOW + 5)
    for after in (
        workspace(retention_days=20, effective_from=NOW + 5),  # longer, but 30 may still stand behind it
        workspace(retention_days=10, plan="gold", effective_from=NOW + 5),
    ):
        value = decided(pending, after, now=NOW)
        assert value is not None
        assert value.effective_from == NOW + 5


def test_a_grace_that_is_over_is_forgotten() -> None:
    value = decided(workspace(retention_days=10, effective_from=NOW), workspace(retention_days=11), now=NOW)
    assert value is not None
    assert value.effective_from is None


def test_what_changes_nothing_is_no_change() -> None:
    assert decided(workspace(plan="gold"), workspace(plan="gold"), now=NOW) is None
    assert decided(workspace(plan="gold"), workspace(plan="free"), now=NOW) is not None


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_a_retention_that_makes_no_sense_is_refused_in_words(days: int) -> None:
    for after in (workspace(retention_days=days), workspace(sources=web(days))):
        with pytest.raises(Poison, match=f"{days} days makes no sense.*forever"):
            decided(None, after, now=NOW)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (-3, "would delete what is still arriving"),
        (0, "would delete what is still arriving"),
        (2.5, "only whole days"),
        (float("nan"), "only whole days"),
        (36_501, "beyond 100 years"),
        (float("inf"), "beyond 100 years"),
        ("30", "no number"),
        (True, "no number"),
        (None, "no number"),
    ],
)
def test_what_is_wrong_with_a_number_of_days_is_said(days: object, words: str) -> None:
    with pytest.raises(Poison, match=words):
        checked_days(days)
    if days is not None:
        for document in ({"retentionDays": days}, {"sources": [{"id": "web", "retentionDays": days}]}):
            with pytest.raises(Poison, match=words):
                with_document(workspace(), document)


def test_days_may_be_written_as_a_whole_float() -> None:
    assert [checked_days(days) for days in (1, 30.0, 36_500)] == [1, 30, 36_500]


def test_a_retention_is_set_for_all_or_for_one_source() -> None:
    two = workspace(retention_days=90, sources=(*web(), Source(id="api")))
    assert with_retention(two, None, 30) == workspace(retention_days=30, sources=two.sources)
    shorter = with_retention(two, "web", 7)
    assert [source.retention_days for source in shorter.sources] == [7, None]
    assert with_retention(shorter, "web", None) == two
    with pytest.raises(Refused, match="no source app; it has web, api"):
        with_retention(two, "app", 7)


def test_a_retention_goes_with_a_plan() -> None:
    plans = {"gold"}
    with pytest.raises(Refused, match="standard, which keeps for ever"):
        decided(workspace(), workspace(retention_days=30), now=NOW, plans=plans)
    with pytest.raises(Refused, match="free, which"):  # a retention can't be kept on the way down
        decided(
            workspace(plan="gold", sources=web(5)),
            workspace(plan="free", sources=web(5)),
            now=NOW,
            plans=plans,
        )
    for before, after in (
        (workspace(), workspace(plan="gold", retention_days=30)),
        (workspace(plan="gold", retention_days=30), workspace(plan="free")),
        (workspace(retention_days=30), workspace()),
        (workspace(retention_days=30), workspace(retention_days=30, legal_hold=True)),  # it had one before
    ):
        assert decided(before, after, now=NOW, plans=plans) is not None


@pytest.mark.parametrize(
    ("pattern", "words"), [("*.com", "covers hosts of other people"), ("https://a.example", "can't be read")]
)
def test_a_host_pattern_is_judged_when_it_is_written(pattern: str, words: str) -> None:
    for after in (
        workspace(allowed_origins=(pattern,)),
        workspace(sources=(Source(id="web", allowed_origins=(pattern,)),)),
    ):
        with pytest.raises(Poison, match=words):
            decided(workspace(), after, now=NOW)


def test_a_pattern_that_stands_already_does_not_stop_a_hold() -> None:
    value = decided(
        workspace(allowed_origins=("*.com",)), workspace(allowed_origins=("*.com",), legal_hold=True), now=NOW
    )
    assert value is not None
    assert value.legal_hold


@pytest.mark.parametrize("name", ["_platform", "a b", "", "a" * 65, "é"])
def test_ids_that_can_not_be_names_are_refused(name: str) -> None:
    with pytest.raises(Poison):
        fresh(name)
    with pytest.raises(Poison):
        decided(None, workspace(sources=(Source(id=name),)), now=NOW)
    with pytest.raises(Poison):
        with_document(workspace(), {"sources": [{"id": name}]})


def test_a_source_is_added_or_changed_and_the_others_stand() -> None:
    two = workspace(
        sources=(
            Source(id="web", allowed_origins=("a.example",), extra={"later": msgspec.Raw(b"1")}),
            Source(id="api", type=SourceType.SERVER),
        )
    )
    changed = with_source(two, "web", SourceType.MOBILE, None).source("web")
    assert changed is not None
    assert (changed.type, changed.allowed_origins) == (SourceType.MOBILE, ("a.example",))
    assert bytes(changed.extra["later"]) == b"1"
    assert with_source(two, "web", SourceType.BROWSER, ()).source("web") == Source(
        id="web", extra=changed.extra
    )
    assert [source.id for source in with_source(two, "app", SourceType.MOBILE, None).sources] == [
        "web", "api", "app",
    ]  # fmt: skip


def test_a_document_replaces_the_fields_that_it_has() -> None:
    before = workspace(plan="gold", retention_days=30, sources=web(), contacts=("a@b.example",))
    after = with_document(before, {"retentionDays": None, "sources": [{"id": "api", "type": "server"}]})
    assert after == msgspec.structs.replace(
        before, retention_days=None, sources=(Source(id="api", type=SourceType.SERVER),)
    )


def test_what_show_prints_can_be_given_back() -> None:
    before = codec.decode(
        codec.encode(workspace(sources=web(3)))[:-1] + b',"later":{"deep":[1]},"effectiveFrom":5}'
    )
    printed = msgspec.json.decode(codec.encode(before))
    assert decided(before, with_document(before, printed), now=NOW) is None
    assert with_document(before, {**printed, "plan": "gold"}) == msgspec.structs.replace(before, plan="gold")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"retentiondays": 30}, "no 'retentiondays'.*retentionDays"),
        ({"sources": [{"id": "web", "kind": "server"}]}, "a source has no 'kind'.*type"),
        ({"sources": [{"type": "server"}]}, "source ''"),
        ({"sources": {"web": {}}}, "list of objects"),
        ({"sources": ["web"]}, "list of objects"),
        ({"id": "other"}, "'other', not of 'acme'"),
        ({"v": 2}, "version 2"),
        ({"retentionDays": "30"}, "no number"),
        ({"state": "half"}, "state"),
        ({"switches": {"on": "yes"}}, "switches"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_in_words(document: dict[str, Any], words: str) -> None:
    with pytest.raises(Poison, match=words):
        with_document(workspace(), document)


def test_a_document_made_from_an_older_record_is_refused() -> None:
    with pytest.raises(Refused, match="made from change 8 of acme; it is at 9"):
        with_document(workspace(), {"seq": 8, "plan": "gold"})
    assert with_document(workspace(), {"seq": 9, "plan": "gold"}).plan == "gold"
