"""The table of verdicts: what is in it happens, everything else is refused in words."""

from itertools import product

import pytest
from msgspec.structs import replace

from topics.origin_verdicts import CUSTOMERS, OriginVerdict, VerdictKind
from workers.intake.key_states import Refused
from workers.intake.verdict_states import TRANSITIONS, check, may_follow

# docs/origins.md, Verdicts, written out once more: the test must not follow the table
ALLOWED = {
    *((None, kind) for kind in ("suspect", "copy", "benign", "hostile")),
    *(("suspect", kind) for kind in ("copy", "benign", "hostile")),
    *(("copy", kind) for kind in ("benign", "hostile")),
    ("benign", "hostile"),
    ("hostile", "benign"),
}
STANDING: list[VerdictKind | None] = [None, *VerdictKind]


def verdict(kind: VerdictKind | None) -> OriginVerdict | None:
    if kind is None:
        return None
    return OriginVerdict(
        key="k1", workspace="acme", host="copy.example", kind=kind, confirmed=kind in CUSTOMERS,
        changed_at=1, shard=0, seq=1,
    )  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(STANDING, VerdictKind)))
def test_only_the_ways_of_the_table_are_open(before: VerdictKind | None, after: VerdictKind) -> None:
    allowed = (before, after) in ALLOWED
    assert may_follow(verdict(before), after) is allowed
    if allowed:
        check(verdict(before), verdict(after))
        return
    with pytest.raises(Refused) as refused:
        check(verdict(before), verdict(after))
    assert "k1 copy.example" in refused.value.message
    for kind in TRANSITIONS[before]:
        assert kind in refused.value.remedy


@pytest.mark.parametrize("before", STANDING)
def test_a_tombstone_is_refused_whatever_stands(before: VerdictKind | None) -> None:
    with pytest.raises(Refused, match="can't be deleted"):
        check(verdict(before), None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workspace": "other"}, "belongs to acme"),
        ({"host": "b.example"}, "can't become one on k1 b.example"),
        ({"key": "k2"}, "can't become one on k2 copy.example"),
    ],
)
def test_a_verdict_stays_what_it_is_about(change: dict[str, str], words: str) -> None:
    approved = verdict(VerdictKind.BENIGN)
    assert approved is not None
    with pytest.raises(Refused, match=words):
        check(verdict(VerdictKind.COPY), replace(approved, **change))
