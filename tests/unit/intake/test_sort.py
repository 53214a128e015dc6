"""Sorting: each record in exactly one disposition, lines that are lines, kept decisions that still hold."""

import base64
import json
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runs import runs_of
from tests.unit.intake.making import (
    DAY,
    NOW,
    TODAY,
    Record,
    envelope,
    flat,
    key_record,
    policy_of,
    sort_all,
    verdict_record,
    workspace_record,
)
from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Source, SourceType, WorkspaceState
from topics.write_keys import KeyState
from workers.intake import rules
from workers.intake.dispositions import (
    DEAD_LETTERS,
    PLATFORM,
    STORED,
    UNCLAIMED,
    Clock,
    Disposition,
    Group,
)
from workers.intake.facts import Facts
from workers.intake.policy import Policy
from workers.intake.rules import Rule
from workers.intake.sort import Sorter, Sorting, SortLimits

OPEN = policy_of([key_record()], [workspace_record()])
ACCEPTED = Group("acme", "site", TODAY, Disposition.ACCEPTED, Clock.MAIN)
DEAD = Group(PLATFORM, DEAD_LETTERS, TODAY, Disposition.DEAD_LETTERED, Clock.MAIN)


def test_a_line_is_the_envelope_as_it_came() -> None:
    values = [envelope(event={"n": number, "text": "é \\u00e9 1.0E+2 /"}) for number in range(3)]
    sorting = sort_all(OPEN, [Record(value, offset) for offset, value in enumerate(values)])
    assert {group: list(lines) for group, lines in sorting.lines.items()} == {ACCEPTED: values}
    assert sorting.counts == {Disposition.ACCEPTED: {"accepted": 3}}
    assert sorting.last == (2, values[-1])
    assert sorting.lines[ACCEPTED].ndjson() == b"".join(value + b"\n" for value in values)
    assert sorting.plain_bytes == len(sorting.lines[ACCEPTED].ndjson())


def test_records_of_a_group_stay_in_order_whatever_their_reasons() -> None:
    policy = policy_of([key_record()], [workspace_record(allowed=["shop.example"])])
    kinds = (
        lambda number: envelope(origin="https://thief.example", n=number),
        lambda number: envelope(page={"url": f"https://thief.example/{number}"}),
        lambda number: b"{%d" % number,
        lambda number: b'{"n":%d}\n' % number,
    )
    values = [kinds[number % 4](number) for number in range(40)]
    sorting = sort_all(policy, [Record(value, offset) for offset, value in enumerate(values)])
    flagged = ACCEPTED._replace(disposition=Disposition.FLAGGED)
    assert list(sorting.lines[flagged]) == [value for number, value in enumerate(values) if number % 4 < 2]
    assert [json.loads(line)["offset"] for line in sorting.lines[DEAD]] == [n for n in range(40) if n % 4 > 1]


def test_breaks_between_tokens_become_spaces() -> None:
    value = b"\r\n" + json.dumps(json.loads(envelope(event={"x": "a\nb"})), indent=1).encode() + b"\n"
    plain = envelope()
    sorting = sort_all(OPEN, [Record(value), Record(plain, 1)])
    assert list(sorting.lines[ACCEPTED]) == [value.replace(b"\r", b" ").replace(b"\n", b" "), plain]
    assert json.loads(next(iter(sorting.lines[ACCEPTED]))) == json.loads(value)
    assert sorting.last == (1, plain)


def test_a_dead_letter_holds_the_bytes_as_they_came() -> None:
    values = [b"\x00\xff\r\n{", None, b'{"v":9}']
    sorting = sort_all(OPEN, [Record(value, 40 + offset) for offset, value in enumerate(values)])
    letters = [json.loads(line) for line in sorting.lines[DEAD]]
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (40, "not_json"),
        (41, "empty"),
        (42, "unknown_version"),
    ]
    assert [base64.b64decode(letter["bytes"]) for letter in letters] == [values[0], b"", values[2]]
    assert list(sorting.lines) == [DEAD]
    assert sorting.last == (42, b'{"v":9}')


def test_the_anchor_of_an_empty_record_is_no_bytes() -> None:
    assert sort_all(OPEN, [Record(None, 7)]).last == (7, b"")


def test_nothing_to_sort_changes_nothing() -> None:
    sorting = sort_all(OPEN, [])
    assert (sorting.lines, sorting.counts, sorting.last) == ({}, {}, None)


MIDNIGHT = NOW - NOW % DAY


@pytest.mark.parametrize(
    ("timestamp", "kind", "day"),
    [
        (MIDNIGHT, 1, "2026-11-26"),
        (MIDNIGHT - 1, 1, "2026-11-25"),
        (MIDNIGHT + DAY, 1, "2026-11-27"),
        (0, 1, "1970-01-01"),
        (MIDNIGHT - 1, 0, TODAY),  # a producer's time would let it choose its own retention
        (-1, 1, TODAY),
        (2**62, 1, TODAY),
    ],
)
def test_the_day_is_the_brokers(timestamp: int, kind: int, day: str) -> None:
    # what nobody owns is not kept for so long
    values = (envelope(),) if timestamp == 0 else (envelope(), b"{", envelope("nobody"))
    for value in values:
        sorting = sort_all(OPEN, [Record(value, 0, timestamp, kind)])
        assert [group.day for group in sorting.lines] == [day]


def test_days_may_alternate_within_a_chunk() -> None:
    records = [Record(envelope(), offset, MIDNIGHT - offset % 2) for offset in range(6)]
    sorting = sort_all(OPEN, records)
    assert {group.day: len(lines) for group, lines in sorting.lines.items()} == {TODAY: 3, "2026-11-25": 3}


def test_chunks_add_up() -> None:
    sorter, sorting = Sorter(OPEN), Sorting()
    for offset in range(5):
        sorter.sort(runs_of([Record(envelope(), offset), Record(b"{", offset)]), now=NOW, into=sorting)
    assert sorting.counts == {
        Disposition.ACCEPTED: {"accepted": 5},
        Disposition.DEAD_LETTERED: {"not_json": 5},
    }
    assert len(sorting.lines[ACCEPTED]) == len(sorting.lines[DEAD]) == 5


def test_a_rule_that_fails_makes_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(facts: Facts) -> bool:
        if facts.key is not None and facts.key.source == "odd":
            raise ZeroDivisionError
        return False

    broken = Rule("broken", Disposition.REJECTED, "Fails.", fails)
    monkeypatch.setattr(rules, "RULES", (broken, *rules.RULES))
    policy = policy_of([key_record(), key_record("odd", source="odd")], [workspace_record()])
    sorting = sort_all(
        policy, [Record(envelope("odd"), 3), Record(envelope(), 4), Record(envelope("odd"), 5)]
    )
    assert flat(sorting.counts) == {"intake_error": 2, "accepted": 1}
    letter = json.loads(next(iter(sorting.lines[DEAD])))
    assert letter == {
        "offset": 3,
        "reason": "intake_error",
        "bytes": base64.b64encode(envelope("odd")).decode(),
    }


# -- conservation ------------------------------------------------------------------------------------

KEYS = ("active", "retiring", "revoked", "abused", "server", "orphan", "closed", "nobody")
ORIGINS = (None, "", "null", "https://good.com", "https://copy.example", "file://", "https:////good.com")
URLS = (
    None,
    "https://good.com/a",
    "https://copy.example/b",
    "file:///x",
    "https:////copy.example/x",
    "https:////good.com/x",
    7,
)
TIMES = (NOW, NOW - 1, NOW + 1, MIDNIGHT - 1, MIDNIGHT - 30 * DAY - 1, MIDNIGHT - 31 * DAY, -1)


def starting_policy() -> Policy:
    return policy_of(
        [
            key_record("active"),
            key_record("retiring", KeyState.RETIRING, until=NOW),
            key_record("revoked", KeyState.REVOKED),
            key_record("abused", KeyState.ABUSED),
            key_record("server", source="server"),
            key_record("orphan", workspace="unheard-of"),
            key_record("closed", workspace="closed"),
        ],
        [
            workspace_record(
                allowed=["good.com"], days=30, sources=[Source(id="server", type=SourceType.SERVER)]
            ),
            workspace_record("closed", state=WorkspaceState.CLOSED),
        ],
    )


good_values = st.builds(
    lambda key, origin, referer, url, referrer: envelope(
        key, origin=origin, referer=referer, page={"url": url, "referrer": referrer}
    ),
    st.sampled_from(KEYS),
    st.sampled_from(ORIGINS),
    st.sampled_from(URLS[:-1]),
    st.sampled_from(URLS),
    st.sampled_from(URLS),
)
bad_values = st.sampled_from(
    [None, b"", b"{", b"\xff", b"{}", b'{"v":2}', envelope(event={"x": "y" * 500}), envelope() + b"\xff"]
)
broken_lines = st.builds(lambda value: value.replace(b", ", b",\r\n"), good_values)
records = st.builds(
    Record,
    good_values | good_values | broken_lines | bad_values,
    timestamp=st.sampled_from(TIMES),
    timestamp_type=st.sampled_from([1, 1, 1, 0]),
)


@settings(deadline=None)
@given(st.lists(st.lists(records, max_size=8), max_size=5), st.integers(0, 3))
def test_every_record_has_exactly_one_disposition(chunks: list[list[Record]], cached: int) -> None:
    limits = SortLimits(
        record_bytes=500, unknown_key_bytes=900, unknown_key_share=1.0, cached_decisions=cached
    )
    sorter, sorting = Sorter(starting_policy(), limits), Sorting()
    for chunk in chunks:
        sorter.sort(runs_of(chunk), now=NOW, into=sorting)
    everything = [record for chunk in chunks for record in chunk]
    totals = {disposition: sum(reasons.values()) for disposition, reasons in sorting.counts.items()}
    assert sum(totals.values()) == len(everything)
    stored = Counter[Disposition]()
    for group, lines in sorting.lines.items():
        stored[group.disposition] += len(lines)
    assert stored == {kind: number for kind, number in totals.items() if kind in STORED}
    assert sorting.plain_bytes == sum(len(lines.ndjson()) for lines in sorting.lines.values())
    assert sorting.last == ((everything[-1].offset, everything[-1].value or b"") if everything else None)
    for reason in flat(sorting.counts):
        assert reason in rules.REASONS
    assert lines_are_the_values(sorting, everything)


def lines_are_the_values(sorting: Sorting, everything: Iterable[Record]) -> bool:
    """Each stored line is one line of JSON, and together they are values that came."""
    came = Counter(record.value or b"" for record in everything)
    as_lines = Counter[bytes]()
    for value, number in came.items():
        as_lines[value.replace(b"\r", b" ").replace(b"\n", b" ")] += number
    for group, lines in sorting.lines.items():
        for line in lines:
            assert line.splitlines() == [line]
            document = json.loads(line)
            if group.disposition is Disposition.DEAD_LETTERED:
                came.subtract([base64.b64decode(document["bytes"])])
            else:
                as_lines.subtract([line])
    return min((*came.values(), *as_lines.values(), 0)) >= 0


@settings(deadline=None)
@given(st.lists(records, max_size=20))
def test_lines_of_one_write_key_keep_the_order_of_their_offsets(chunk: list[Record]) -> None:
    numbered = [
        Record(envelope("active", event={"n": offset}), offset) if offset % 3 else record
        for offset, record in enumerate(chunk)
    ]
    sorting = sort_all(starting_policy(), numbered)
    for group, lines in sorting.lines.items():
        if group.disposition is Disposition.ACCEPTED:
            order = [number for line in lines if (number := json.loads(line)["event"].get("n")) is not None]
            assert order == sorted(order)


# -- kept decisions ----------------------------------------------------------------------------------

updates = st.one_of(
    st.builds(
        key_record,
        st.sampled_from(KEYS),
        st.sampled_from(KeyState),
        until=st.sampled_from([NOW - DAY, NOW, NOW + DAY]),
        workspace=st.sampled_from(["acme", "closed", "unheard-of"]),
        source=st.sampled_from(["site", "server"]),
        seq=st.integers(1, 9),
    ).map(lambda value: ("key", value)),
    st.builds(
        workspace_record,
        st.sampled_from(["acme", "closed", "unheard-of"]),
        state=st.sampled_from(WorkspaceState),
        sources=st.sampled_from(
            [(), (Source(id="server", type=SourceType.SERVER, allowed_origins=("copy.example",)),)]
        ),
        allowed=st.sampled_from([(), ("good.com",), ("[*.]copy.example", "*.co.uk")]),
        days=st.sampled_from([None, 1, 30]),
        hold=st.booleans(),
        origins=st.sampled_from(OriginPolicy),
        effective_from=st.sampled_from([None, NOW - 1, NOW, NOW + 1, NOW + DAY]),
        seq=st.integers(1, 9),
    ).map(lambda value: ("workspace", value)),
    st.builds(
        verdict_record,
        st.sampled_from(VerdictKind),
        st.sampled_from(["copy.example", "good.com", "good.com.evil.com", "www-good-com.translate.goog"]),
        key=st.sampled_from(KEYS),
        seq=st.integers(1, 9),
    ).map(lambda value: ("verdict", value)),
    st.booleans().map(lambda value: ("stale", value)),
)
chunks = st.lists(records, min_size=1, max_size=6).map(lambda value: ("sort", value))
clocks = st.sampled_from([-DAY, -1, 0, 1, DAY // 2, DAY, 31 * DAY]).map(lambda value: ("wait", value))


@settings(max_examples=300, deadline=None)  # the first star loads the suffix list
@given(st.lists(updates | chunks | chunks | clocks, max_size=24), st.sampled_from([0, 1, 3, 1000]))
def test_kept_decisions_equal_fresh_ones(steps: list[tuple[str, object]], cached: int) -> None:
    policy = starting_policy()
    stale = [False]
    policy.verdicts_stale = lambda: stale[0]
    keeping = Sorter(policy, SortLimits(cached_decisions=cached))
    now = NOW
    for what, value in steps:
        if what == "wait":
            assert isinstance(value, int)
            now += value
        elif what == "key":
            assert isinstance(value, bytes)
            policy.apply_write_key(value)
        elif what == "stale":
            stale[0] = bool(value)
        elif what == "verdict":
            assert isinstance(value, bytes)
            policy.apply_verdict(value)
        elif what == "workspace":
            assert isinstance(value, bytes)
            policy.apply_workspace(value)
        else:
            assert isinstance(value, list)
            kept, fresh = Sorting(), Sorting()
            keeping.sort(runs_of(value), now=now, into=kept)
            for record in value:
                Sorter(policy).sort(runs_of([record]), now=now, into=fresh)
            assert kept.counts == fresh.counts
            assert {group: sorted(lines) for group, lines in kept.lines.items()} == {
                group: sorted(lines) for group, lines in fresh.lines.items()
            }


def test_pages_that_a_prefix_can_not_tell_apart_are_judged_each() -> None:
    policy = policy_of([key_record()], [workspace_record(allowed=["good.com"])])
    claims = ["https:////good.com/x", "https:////copy.example/x"]
    records = [Record(envelope(page={"url": claim})) for claim in (*claims, *reversed(claims))]
    assert flat(sort_all(policy, records).counts) == {"accepted": 2, "foreign_claim": 2}


@pytest.mark.parametrize(
    ("account", "changes_at"),
    [
        (workspace_record(days=30, effective_from=NOW + 5), NOW + 5),
        (workspace_record(days=30), MIDNIGHT + DAY),  # another day goes past its retention
    ],
)
def test_what_was_decided_ends_with_the_clock(account: bytes, changes_at: int) -> None:
    policy = policy_of([key_record()], [account])
    sorter = Sorter(policy)
    oldest = changes_at - changes_at % DAY - 30 * DAY - 1  # its day goes past retention at `changes_at`
    for now, reason in [
        (changes_at - 1, "accepted"),
        (changes_at, "past_retention"),
        (changes_at - 1, "accepted"),  # a clock that was set back
    ]:
        sorting = Sorting()
        sorter.sort(runs_of([Record(envelope(), timestamp=oldest)]), now=now, into=sorting)
        assert flat(sorting.counts) == {reason: 1}


def count_decisions(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    asked: list[Facts] = []

    def note(facts: Facts) -> bool:
        asked.append(facts)
        return False

    monkeypatch.setattr(rules, "RULES", (Rule("noted", Disposition.REJECTED, "Never.", note), *rules.RULES))
    return asked


def test_one_decision_serves_all_pages_of_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_decisions(monkeypatch)
    policy = policy_of([key_record()], [workspace_record(allowed=["good.com"])])
    pages = [
        {"url": f"https://good.com/p/{number}", "referrer": f"https://x{number}.example/"}
        for number in range(50)
    ]
    sort_all(policy, [Record(envelope(page=page, origin="https://good.com")) for page in pages])
    assert len(asked) == 1


def test_an_update_drops_what_it_touches_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_decisions(monkeypatch)
    keys = [key_record(f"k{number}", workspace=f"w{number % 2}") for number in range(10)]
    policy = policy_of(keys, [workspace_record("w0"), workspace_record("w1")])
    sorter = Sorter(policy)
    chunk = [Record(envelope(f"k{number}")) for number in range(10)]

    def decisions() -> int:
        before = len(asked)
        sorter.sort(runs_of(chunk), now=NOW, into=Sorting())
        return len(asked) - before

    assert decisions() == 10
    assert decisions() == 0
    policy.apply_write_key(key_record("k3", KeyState.REVOKED, workspace="w1", seq=2))
    assert decisions() == 1
    policy.apply_workspace(workspace_record("w0", seq=2))
    assert decisions() == 5
    policy.apply_write_key(key_record("k3", workspace="w1", seq=1))  # older: no change
    policy.apply_write_key(None)
    policy.apply_workspace(workspace_record("unheard-of"))
    assert decisions() == 0


@pytest.mark.parametrize(
    ("revoked", "closed"), [({"one": "revoked_key"}, {}), ({}, {"one": "closed_workspace"})]
)
@pytest.mark.parametrize("since", [[], ["two"], ["two", "three"]])
def test_an_update_reaches_what_was_put_aside(
    revoked: dict[str, str], closed: dict[str, str], since: list[str]
) -> None:
    keys = ["one", "two", "three"]
    policy = policy_of(
        [key_record(key, workspace=f"of-{key}") for key in keys],
        [workspace_record(f"of-{key}") for key in keys],
    )
    sorter = Sorter(policy, SortLimits(cached_decisions=1))  # each new key puts the one before aside

    def reason(key: str) -> str:
        sorting = Sorting()
        sorter.sort(runs_of([Record(envelope(key))]), now=NOW, into=sorting)
        return next(iter(flat(sorting.counts)))

    for key in ["one", *since]:
        assert reason(key) == "accepted"
    for key in revoked:
        policy.apply_write_key(key_record(key, KeyState.REVOKED, workspace=f"of-{key}", seq=2))
    for key in closed:
        policy.apply_workspace(workspace_record(f"of-{key}", state=WorkspaceState.CLOSED, seq=2))
    assert reason("one") == (revoked | closed)["one"]


def test_memory_is_bounded_and_what_is_in_use_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_decisions(monkeypatch)
    keys = [key_record(f"k{number}") for number in range(1000)]
    policy = policy_of(keys, [workspace_record()])
    sorter = Sorter(policy, SortLimits(cached_decisions=20))
    for number in range(1000):
        chunk = [Record(envelope(f"k{number}")), Record(envelope("k0"))]
        sorter.sort(runs_of(chunk), now=NOW, into=Sorting())
        assert len(sorter._decided) <= 40
    assert len(asked) == 1000  # k0 was never decided twice


def test_pages_of_one_key_are_bounded() -> None:
    policy = policy_of([key_record()], [workspace_record(allowed=["good.com"])])
    sorter = Sorter(policy)
    chunk = [Record(envelope(origin=f"https://h{number}.example")) for number in range(3000)]
    sorter.sort(runs_of(chunk), now=NOW, into=Sorting())
    assert len(sorter._decided.known["known"].pages) <= 1024
    long = [Record(envelope(origin=f"https://{number}{'a' * 2000}.example")) for number in range(9)]
    before = len(sorter._decided)
    sorter.sort(runs_of(long), now=NOW, into=Sorting())
    assert len(sorter._decided) == before


def test_one_keys_invented_hosts_drop_no_other_keys_plan() -> None:
    keys = [key_record(), key_record("quiet")]
    sorter = Sorter(
        policy_of(keys, [workspace_record(allowed=["good.com"])]), SortLimits(cached_decisions=3000)
    )
    sorter.sort(runs_of([Record(envelope("quiet", origin="https://good.com"))]), now=NOW, into=Sorting())
    for first in range(0, 20_000, 500):
        invented = [envelope(origin=f"https://h{first + number}.example") for number in range(500)]
        sorter.sort(runs_of([Record(value) for value in invented]), now=NOW, into=Sorting())
    assert "quiet" in sorter._decided.known
    assert len(sorter._decided) <= 2 + 1024 + 1


def test_unclaimed_and_dead_letters_belong_to_the_platform() -> None:
    sorting = sort_all(OPEN, [Record(envelope("nobody")), Record(b"")])
    assert {(group.workspace, group.source, group.clock) for group in sorting.lines} == {
        (PLATFORM, UNCLAIMED, Clock.UNCLAIMED),
        (PLATFORM, DEAD_LETTERS, Clock.MAIN),
    }


def test_a_day_of_unclaimed_records_that_was_disposed_of_takes_no_more_from_the_next_chunk_on() -> None:
    policy = policy_of([key_record()], [workspace_record()])
    sorter, sorting = Sorter(policy), Sorting()
    sorter.sort(runs_of([Record(envelope("nobody"))]), now=NOW, into=sorting)
    policy.disposed_of(PLATFORM, UNCLAIMED, TODAY, Clock.UNCLAIMED)
    sorter.sort(runs_of([Record(envelope("nobody"))]), now=NOW, into=sorting)
    assert flat(sorting.counts) == {"unknown_key": 1, "past_platform_retention": 1}
