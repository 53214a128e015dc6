"""Each rule, its boundary and its place in the order."""

from typing import Any

import pytest

from tests.unit.intake.making import (
    DAY,
    NOW,
    TODAY,
    Record,
    envelope,
    flat,
    key_record,
    policy_of,
    reason_of,
    sort_all,
    workspace_record,
)
from topics.workspaces import Source, SourceType, WorkspaceState
from topics.write_keys import KeyState
from workers.intake import rules
from workers.intake.dispositions import PLATFORM, STORED, UNCLAIMED, Clock, Disposition, Group, clock_of
from workers.intake.rules import REASONS, RULES, Rule
from workers.intake.sort import SortLimits

OWN = "https://www.good.com"
COPY = "https://copy.example"
SERVER = Source(id="server", type=SourceType.SERVER)
MOBILE = Source(id="mobile", type=SourceType.MOBILE)

JUDGED = policy_of(
    [key_record(), key_record("server", source="server"), key_record("mobile", source="mobile")],
    [workspace_record(allowed=["[*.]good.com"], sources=[SERVER, MOBILE])],
)


def page(url: str | None = None, referrer: str | None = None) -> dict[str, Any]:
    return {name: value for name, value in (("url", url), ("referrer", referrer)) if value is not None}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (KeyState.ACTIVE, "accepted"),
        (KeyState.REVOKED, "revoked_key"),
        (KeyState.ABUSED, "abused_key"),
    ],
)
def test_states_of_the_key(state: KeyState, reason: str) -> None:
    policy = policy_of([key_record(state=state)], [workspace_record()])
    assert reason_of(policy, envelope()) == reason


@pytest.mark.parametrize(
    ("appended", "kind", "now", "reason"),
    [
        (NOW - 1, 1, NOW, "accepted"),
        (NOW, 1, NOW, "expired_key"),  # `until` itself is over
        (NOW + 1, 1, NOW, "expired_key"),
        (NOW - 1, 1, NOW + 9 * DAY, "accepted"),  # the broker's time counts, however late we read
        (NOW + 1, 0, NOW - 1, "accepted"),  # a producer's time is only a claim: ours counts
        (NOW - 1, 0, NOW, "expired_key"),
    ],
)
def test_a_retiring_key_ends_by_the_brokers_append_time(
    appended: int, kind: int, now: int, reason: str
) -> None:
    policy = policy_of([key_record(state=KeyState.RETIRING, until=NOW)], [workspace_record()])
    assert reason_of(policy, envelope(), now=now, timestamp=appended, timestamp_type=kind) == reason


def test_until_of_a_key_that_is_not_retiring_means_nothing() -> None:
    policy = policy_of([key_record(until=NOW - 1)], [workspace_record()])
    assert reason_of(policy, envelope()) == "accepted"


def test_an_unknown_key_is_kept_by_the_platform_for_a_week() -> None:
    sorting = sort_all(policy_of(), [Record(envelope("newer"))])
    assert list(sorting.lines) == [
        Group(PLATFORM, UNCLAIMED, TODAY, Disposition.QUARANTINED, Clock.UNCLAIMED)
    ]
    assert sorting.counts == {Disposition.QUARANTINED: {"unknown_key": 1}}


def test_a_known_key_waits_for_the_record_of_its_workspace() -> None:
    policy = policy_of([key_record()])
    sorting = sort_all(policy, [Record(envelope())], limits=SortLimits(unknown_key_bytes=0))
    assert list(sorting.lines) == [
        Group(PLATFORM, UNCLAIMED, TODAY, Disposition.QUARANTINED, Clock.UNCLAIMED)
    ]
    assert sorting.counts == {Disposition.QUARANTINED: {"unknown_workspace": 1}}
    policy.apply_workspace(workspace_record())
    assert reason_of(policy, envelope()) == "accepted"


@pytest.mark.parametrize("state", [KeyState.REVOKED, KeyState.ABUSED])
def test_a_stopped_key_needs_no_workspace_to_be_stopped(state: KeyState) -> None:
    assert reason_of(policy_of([key_record(state=state)]), envelope()) == f"{state}_key"


def test_a_closed_workspace_rejects() -> None:
    policy = policy_of([key_record()], [workspace_record(state=WorkspaceState.CLOSED)])
    sorting = sort_all(policy, [Record(envelope()), Record(envelope())])
    assert sorting.counts == {Disposition.REJECTED: {"closed_workspace": 2}}
    assert sorting.lines == {}
    assert sorting.plain_bytes == 0


MIDNIGHT = NOW - NOW % DAY


@pytest.mark.parametrize(
    ("ago", "value", "reason"),
    [
        (7, envelope("nobodys"), "unknown_key"),
        (8, envelope("nobodys"), "past_platform_retention"),
        (7, envelope("orphaned"), "unknown_workspace"),
        (8, envelope("orphaned"), "past_platform_retention"),
        (30, b"{", "not_json"),
        (31, b"{", "past_platform_retention"),
        (31, None, "past_platform_retention"),
    ],
)
def test_what_nobody_owns_is_past_its_retention_too(ago: int, value: bytes | None, reason: str) -> None:
    """Its day's key is being destroyed by then: it could not be sealed any more."""
    policy = policy_of([key_record("orphaned", workspace="gone")], [workspace_record()])
    appended = MIDNIGHT - (ago - 1) * DAY - 1
    assert reason_of(policy, value, timestamp=appended) == reason


@pytest.mark.parametrize(
    ("account", "appended", "reason"),
    [
        (workspace_record(days=30), MIDNIGHT - 30 * DAY, "accepted"),  # 30 whole days are kept after its own
        (workspace_record(days=30), MIDNIGHT - 30 * DAY - 1, "past_retention"),
        (workspace_record(), MIDNIGHT - 3000 * DAY, "accepted"),  # no policy keeps
        (workspace_record(days=30, hold=True), MIDNIGHT - 99 * DAY, "accepted"),  # a hold beats everything
        (workspace_record(days=30, effective_from=NOW + 1), MIDNIGHT - 99 * DAY, "accepted"),
        (workspace_record(days=30, effective_from=NOW), MIDNIGHT - 99 * DAY, "past_retention"),
        (
            workspace_record(days=30, sources=[Source(id="site", retention_days=99)]),
            MIDNIGHT - 99 * DAY,
            "accepted",
        ),
        (
            workspace_record(days=99, sources=[Source(id="site", retention_days=30)]),
            MIDNIGHT - 31 * DAY,
            "past_retention",
        ),
        (
            workspace_record(sources=[Source(id="site", retention_days=1)]),
            MIDNIGHT - 2 * DAY,
            "past_retention",
        ),
        (
            workspace_record(days=1, sources=[Source(id="other", retention_days=9)]),
            NOW - 2 * DAY,
            "past_retention",
        ),
    ],
)
def test_past_retention(account: bytes, appended: int, reason: str) -> None:
    assert reason_of(policy_of([key_record()], [account]), envelope(), timestamp=appended) == reason


@pytest.mark.parametrize(
    ("origin", "referer", "claim", "reason"),
    [
        (OWN, None, None, "accepted"),
        (OWN, None, f"{OWN}/cart", "accepted"),
        ("https://good.com:8443", None, "http://good.com/", "accepted"),  # hosts are judged, not ports
        (COPY, None, None, "foreign_origin"),
        (COPY, None, f"{COPY}/cart", "foreign_origin"),
        (COPY, f"{OWN}/", f"{OWN}/cart", "canonical_shadow"),  # claims to be us
        (None, f"{COPY}/", f"{OWN}/cart", "canonical_shadow"),  # Referer where there is no Origin
        ("", f"{COPY}/", f"{OWN}/cart", "canonical_shadow"),
        (None, f"{OWN}/", f"{OWN}/cart", "accepted"),
        (OWN, f"{COPY}/", f"{OWN}/cart", "accepted"),  # Origin is the better witness
        (OWN, None, f"{COPY}/cart", "foreign_claim"),
        (None, f"{OWN}/", f"{COPY}/cart", "foreign_claim"),
        (None, None, f"{COPY}/cart", "foreign_claim"),
        (None, None, f"{OWN}/cart", "accepted"),
        (None, None, None, "accepted"),
        ("https://evilgood.com", None, None, "foreign_origin"),
        ("https://good.com:x@evil.com/", None, None, "foreign_origin"),
        ("https://good.com.", None, None, "accepted"),
        ("https://[::1]", None, None, "foreign_origin"),
        # schemes without an origin are no mismatch
        ("file://", None, "file:///home/me/saved.html", "accepted"),
        ("chrome-extension://abcdef", None, f"{OWN}/", "accepted"),
        ("capacitor://localhost", None, "capacitor://localhost/index.html", "accepted"),
        ("not an origin", None, None, "accepted"),
        # Origin: null
        ("null", None, f"{OWN}/cart", "null_origin"),
        ("null", f"{OWN}/", None, "null_origin"),
        ("null", f"{COPY}/", f"{OWN}/", "canonical_shadow"),
        ("null", None, f"{COPY}/", "foreign_claim"),
        ("null", None, "file:///home/me/saved.html", "accepted"),
        ("null", None, None, "accepted"),
    ],
)
def test_origins_of_a_browser_source(
    origin: str | None, referer: str | None, claim: str | None, reason: str
) -> None:
    value = envelope(origin=origin, referer=referer, page=page(claim))
    assert reason_of(JUDGED, value) == reason


def test_a_sandboxed_frame_is_known_by_who_sent_it_there() -> None:
    value = envelope(origin="null", page=page("about:srcdoc", f"{COPY}/p"))
    assert reason_of(JUDGED, value) == "null_origin"


def test_a_foreign_referrer_is_where_visitors_come_from() -> None:
    value = envelope(origin=OWN, page=page(f"{OWN}/", "https://www.google.com/"))
    assert reason_of(JUDGED, value) == "accepted"


@pytest.mark.parametrize("key", ["server", "mobile"])
@pytest.mark.parametrize(
    ("origin", "referer", "claim", "reason"),
    [
        (None, None, None, "accepted"),
        (None, None, f"{COPY}/cart", "accepted"),  # any program can send a claim: no browser left a trace
        ("null", None, "file:///android_asset/index.html", "accepted"),
        ("capacitor://localhost", None, f"{COPY}/", "accepted"),
        (COPY, None, None, "foreign_origin"),  # a browser sent this, whatever the source is declared as
        (None, f"{COPY}/", None, "foreign_origin"),
        (OWN, None, f"{COPY}/", "foreign_claim"),
        ("null", None, f"{OWN}/", "null_origin"),
        (OWN, None, f"{OWN}/", "accepted"),
    ],
)
def test_servers_and_apps_are_exempt_while_no_browser_shows(
    key: str, origin: str | None, referer: str | None, claim: str | None, reason: str
) -> None:
    assert reason_of(JUDGED, envelope(key, origin=origin, referer=referer, page=page(claim))) == reason


def test_without_an_allow_list_no_origin_is_judged() -> None:
    policy = policy_of([key_record()], [workspace_record()])
    assert reason_of(policy, envelope(origin=COPY, page=page(f"{COPY}/"))) == "accepted"
    assert reason_of(policy, envelope(origin="null", page=page(f"{COPY}/"))) == "accepted"


def test_a_sources_own_list_adds_to_the_workspaces() -> None:
    shop = Source(id="site", allowed_origins=("shop.example",))
    policy = policy_of([key_record()], [workspace_record(allowed=["good.com"], sources=[shop])])
    origins = ["https://good.com", "https://shop.example", COPY]
    assert [reason_of(policy, envelope(origin=origin)) for origin in origins] == [
        "accepted",
        "accepted",
        "foreign_origin",
    ]


def test_a_list_of_which_nothing_can_be_read_lets_nobody_in() -> None:
    policy = policy_of([key_record()], [workspace_record(allowed=["*.co.uk"])])
    assert reason_of(policy, envelope(origin="https://evil.co.uk")) == "foreign_origin"


def test_a_source_that_its_workspace_does_not_list_is_judged_as_a_browsers() -> None:
    policy = policy_of(
        [key_record(source="unlisted")], [workspace_record(allowed=["good.com"], sources=[SERVER], days=30)]
    )
    assert reason_of(policy, envelope()) == "accepted"
    assert reason_of(policy, envelope(page=page(f"{COPY}/"))) == "foreign_claim"
    assert reason_of(policy, envelope(), timestamp=NOW - 40 * DAY) == "past_retention"


@pytest.mark.parametrize(
    ("key", "account", "appended", "reason"),
    [
        (
            key_record(state=KeyState.REVOKED),
            workspace_record(state=WorkspaceState.CLOSED),
            NOW,
            "revoked_key",
        ),
        (
            key_record(state=KeyState.RETIRING, until=NOW),
            workspace_record(state=WorkspaceState.CLOSED),
            NOW,
            "expired_key",
        ),
        (
            key_record(),
            workspace_record(state=WorkspaceState.CLOSED, days=1),
            NOW - 9 * DAY,
            "closed_workspace",
        ),
        (key_record(), workspace_record(days=1, allowed=["good.com"]), NOW - 9 * DAY, "past_retention"),
    ],
)
def test_the_first_rule_that_applies_wins(key: bytes, account: bytes, appended: int, reason: str) -> None:
    policy = policy_of([key], [account])
    assert reason_of(policy, envelope(origin=COPY), timestamp=appended) == reason


def test_flagged_records_keep_their_owner_and_their_own_object() -> None:
    values = [envelope(origin=COPY), envelope(origin=OWN, page=page(f"{COPY}/")), envelope()]
    sorting = sort_all(JUDGED, [Record(value, offset) for offset, value in enumerate(values)])
    assert {group: len(lines) for group, lines in sorting.lines.items()} == {
        Group("acme", "site", TODAY, Disposition.FLAGGED, Clock.MAIN): 2,
        Group("acme", "site", TODAY, Disposition.ACCEPTED, Clock.MAIN): 1,
    }
    assert flat(sorting.counts) == {"foreign_origin": 1, "foreign_claim": 1, "accepted": 1}


def test_reasons_are_unique_documented_and_end_with_a_default() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert RULES[-1].name == "accepted"
    assert set(names) < set(REASONS)
    for name, (disposition, meaning) in REASONS.items():
        assert name == name.lower()
        assert disposition in Disposition
        assert meaning.endswith(".")


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.disposition in STORED], ids=lambda rule: str(rule.name)
)
def test_the_clock_of_what_is_stored_follows_from_its_name(
    rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names do not say the clock, and readers need it."""
    monkeypatch.setattr(rules, "RULES", (rule._replace(applies=lambda _: True),))
    policy = policy_of([key_record()], [workspace_record()])
    groups = list(sort_all(policy, [Record(envelope()), Record(b"garbage", 1)]).lines)
    assert {group.disposition for group in groups} == {rule.disposition, Disposition.DEAD_LETTERED}
    for group in groups:
        assert group.clock is clock_of(group.workspace, group.source, group.disposition)


TRANSLATED = "https://www-good-com.translate.goog"


@pytest.mark.parametrize(
    ("origin", "referer", "claim", "reason"),
    [
        # the witness alone says whose page it is
        (TRANSLATED, None, None, "rehosted"),
        (TRANSLATED, None, f"{OWN}/cart", "rehosted"),
        (TRANSLATED, None, f"{TRANSLATED}/cart?_x_tr_sl=en", "rehosted"),
        (None, f"{TRANSLATED}/", None, "rehosted"),
        ("null", f"{TRANSLATED}/", f"{OWN}/", "null_origin"),  # a sandboxed frame stays one
        # or the claim does, if it is of the same host
        ("https://web.archive.org", None, f"https://web.archive.org/web/2026/{OWN}/cart", "rehosted"),
        ("https://web.archive.org", None, None, "foreign_origin"),
        ("https://web.archive.org", None, f"{OWN}/cart", "foreign_origin"),
        (None, None, f"https://web.archive.org/web/2026/{OWN}/cart", "rehosted"),
        (None, f"https://web.archive.org/web/2026/{OWN}/cart", None, "rehosted"),
        # a copy of ours, translated or archived, is still a copy
        ("https://copy-example.translate.goog", None, f"{OWN}/cart", "foreign_origin"),
        ("https://copy.github.io", None, f"{OWN}/cart", "canonical_shadow"),
        ("https://web.archive.org", None, f"https://web.archive.org/web/2026/{COPY}/{OWN}", "foreign_origin"),
        (TRANSLATED, None, f"{COPY}/cart", "foreign_claim"),
        (OWN, None, f"https://web.archive.org/web/2026/{COPY}/", "foreign_claim"),
        # a claim proves nothing of another host's witness
        (COPY, None, f"https://web.archive.org/web/2026/{OWN}/cart", "foreign_origin"),
        ("https://archive.ph", None, f"https://web.archive.org/web/2026/{OWN}/cart", "foreign_origin"),
        ("https://www-good-com.translate.goog.evil.com", None, None, "foreign_origin"),
    ],
)
def test_rehosts_of_the_customers_own_pages_are_accepted(
    origin: str | None, referer: str | None, claim: str | None, reason: str
) -> None:
    value = envelope(origin=origin, referer=referer, page=page(claim))
    assert reason_of(JUDGED, value) == reason


def test_pages_of_one_rehost_are_decided_one_by_one() -> None:
    """Their addresses differ behind the host, where those of other sites tell nothing."""
    archive = "https://web.archive.org"
    claims = [f"{archive}/web/2026/{OWN}/", f"{archive}/web/2026/{COPY}/", f"{archive}/web/2026/{OWN}/cart"]
    values = [envelope(origin=archive, page=page(claim)) for claim in claims]
    sorting = sort_all(JUDGED, [Record(value, offset) for offset, value in enumerate(values * 2)])
    assert flat(sorting.counts) == {"rehosted": 4, "foreign_origin": 2}
