"""A data object's name is read back exactly, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.ledger.world import TOPIC_ID
from workers.intake.dispositions import STORED, Clock, Group, clock_of
from workers.ledger.data_name import parse, parse_output
from workers.ledger.names import ChainId, unit_output
from workers.sealing.keys import Unit

BASE64 = "ABCXYZabcxyz0189-_"
ids = st.text(BASE64, min_size=1, max_size=64)
days = st.dates().map(str)
groups = st.builds(Group, ids, ids, days, st.sampled_from(sorted(STORED)), st.sampled_from(Clock))
chains = st.builds(
    ChainId,
    st.text("abcXYZ019.-_", min_size=1, max_size=40),
    st.text(BASE64, min_size=22, max_size=22),
    st.integers(0, 999_999_999),
    st.integers(0, 2**31 - 1),
)
attempts = st.text("0123456789abcdef", min_size=16, max_size=16)
suffixes = st.sampled_from(["ndjson.zst", "ndjson.gz"])
GOOD = ChainId("raw-events", TOPIC_ID, 1, 3).data(
    Group("acme", "shop", "2026-11-25", sorted(STORED)[0], Clock.MAIN), 10, 20, "0123456789abcdef"
)

UNIT = Unit("acme", "shop", "2026-11-25", Clock.QUARANTINE)
OUTPUT = unit_output(
    Group("acme", "shop", "2026-11-25", sorted(STORED)[0], Clock.MAIN), UNIT, 3, 7, "0123456789abcdef"
)


@given(groups, chains, st.integers(0, 10**20 - 2), st.integers(1, 10**6), attempts, suffixes)
def test_a_name_that_was_made_is_read_back(
    group: Group, chain: ChainId, first: int, size: int, attempt: str, suffix: str
) -> None:
    following = min(first + size, 10**20 - 1)
    key = chain.data(group, first, following, attempt, suffix)
    name = parse(key)
    assert name is not None
    assert name == (*group[:4], chain, first, following, attempt, suffix)
    assert name.key == key


@given(st.data())
def test_a_name_that_is_read_is_the_name_that_would_be_made(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    cut = data.draw(st.integers(0, 2))
    key = GOOD[:at] + data.draw(st.text("-_./=0a9é\n", max_size=2)) + GOOD[at + cut :]
    name = parse(key)
    assert name is None or name.key == key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data/", "Data/"),
        ("ws=acme", "ws="),
        ("ws=acme", "ws=ac.me"),
        ("ws=acme", f"ws={'a' * 65}"),
        ("src=shop", "src=sh op"),
        ("day=2026-11-25", "day=2026-11-٢٥"),
        ("/accepted/", "/rejected/"),
        ("/accepted/", "/"),
        (TOPIC_ID, TOPIC_ID[:-1]),
        (".1-", ".01-"),
        ("-00003-", "-3-"),
        ("-00003-", "-000003-"),
        ("00000010-", "0000010-"),
        ("0000020-", "0000010-"),  # a batch without offsets
        ("0123456789abcdef", "0123456789ABCDEF"),
        ("0123456789abcdef", "0123456789abcde"),
        (".ndjson.zst", ".ndjson"),
        (".ndjson.zst", ".ndjson.zst\n"),
        (".ndjson.zst", ".ndjson.zst.tmp"),
    ],
)
def test_a_name_that_no_flush_writes_is_not_read(old: str, new: str) -> None:
    assert parse(GOOD) is not None
    assert old in GOOD
    assert parse(GOOD.replace(old, new)) is None


@given(
    groups,
    ids,
    ids,
    st.sampled_from(Clock),
    st.integers(1, 10**8 - 1),
    st.integers(0, 9_999),
    attempts,
    suffixes,
)
def test_an_outputs_name_is_read_back(
    group: Group, workspace: str, source: str, clock: Clock, seq: int, number: int, attempt: str, suffix: str
) -> None:
    consumer = Unit(workspace, source, group.day, clock)
    key = unit_output(group, consumer, seq, number, attempt, suffix)
    name = parse_output(key)
    assert name is not None
    assert name == (*group[:4], consumer, seq, number, attempt, suffix)
    assert name.unit == (*group[:3], clock_of(group.workspace, group.source, group.disposition))
    assert name.key == key
    assert parse(key) is None


@given(st.data())
def test_an_outputs_name_that_is_read_is_the_name_that_would_be_made(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(OUTPUT)))
    cut = data.draw(st.integers(0, 2))
    key = OUTPUT[:at] + data.draw(st.text("-_./=0a9é\n", max_size=2)) + OUTPUT[at + cut :]
    name = parse_output(key)
    assert name is None or name.key == key


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data/", "Data/"),
        ("ws=acme", "ws=ac.me"),
        ("/accepted/", "/rejected/"),
        ("from=", ""),
        ("from=acme", f"from={'a' * 65}"),
        ("from=acme.shop", "from=acme"),
        ("quarantine", "whenever"),
        (".00000003.", ".3."),
        (".00000003.", ".00000000."),
        (".0007.", ".00007."),
        ("0123456789abcdef", "0123456789ABCDEF"),
        (".ndjson.zst", ".ndjson"),
        (".ndjson.zst", ".ndjson.zst\n"),
    ],
)
def test_a_name_that_no_consumer_writes_is_not_read(old: str, new: str) -> None:
    assert parse_output(OUTPUT) is not None
    assert old in OUTPUT
    assert parse_output(OUTPUT.replace(old, new)) is None
