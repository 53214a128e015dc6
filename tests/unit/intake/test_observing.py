"""What is observed of records, from the sorter on: whose host, how many, and what hosts have in common."""

import json
from typing import Any

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import NOW, Record, envelope, key_record, policy_of, workspace_record
from topics.origin_observations import MAX_PAGES, SKETCH, OriginObservation, codec
from topics.workspaces import Source, SourceType
from workers.intake import samples
from workers.intake.facts import Account
from workers.intake.observing import HOSTS_PER_KEY, Hashes, HashKey, Span, network_of, observe
from workers.intake.samples import Samples
from workers.intake.sort import Sorter, Sorting

OWN, COPY = "https://shop.example", "https://copy.example"
HASHED = HashKey(3, b"k" * 32)


def hit(origin: str | None, n: int = 0, *, claim: str | None = None, **fields: Any) -> bytes:
    """A visit to page N of a shop, whose address says `claim` (by default where it is)."""
    page = {"url": f"{claim or origin}/p/{n}", "path": f"/p/{n}", "title": f"Shoe {n}"}
    page |= fields.pop("page", {})
    return with_event(
        envelope(page=page, **({"origin": origin} if origin else {}), **fields.pop("headers", {})),
        **{"anonymousId": f"visitor-{n}", **fields},
    )


def with_event(value: bytes, **fields: Any) -> bytes:
    read = json.loads(value)
    read["event"] |= fields
    return json.dumps(read).encode()


def observed(
    *values: bytes,
    allowed: tuple[str, ...] = ("shop.example",),
    type: SourceType = SourceType.BROWSER,
    hashed: HashKey = HASHED,
) -> dict[str, OriginObservation]:
    """By host. All are of one source, and of one write key."""
    policy = policy_of(
        [key_record()], [workspace_record(allowed=allowed, sources=[Source(id="site", type=type)])]
    )
    kept = Samples(0)
    records = [Record(value, offset) for offset, value in enumerate(values)]
    for at in range(0, len(records), 500):
        Sorter(policy).sort(runs_of(records[at : at + 500]), now=NOW, into=Sorting(), seen=kept)
    workspace = policy.workspace("acme")
    assert workspace is not None
    span = Span("raw-events", "q", 1, 0, 0, len(values), kept.first_at, kept.last_at)
    if not kept.groups:
        return {}
    rows = list(observe(span, kept.groups, Account(workspace, "site"), hashed))
    assert len({row.host for row in rows}) == len(rows)  # the judge folds a span once a host
    return {row.host: codec.decode(codec.encode(row)) for row in rows}


def test_a_copy_and_its_original_have_pages_in_common_and_no_visitor() -> None:
    seen = observed(
        *(hit(OWN, n, userId=f"user-{n}") for n in range(16)),
        *(hit(COPY, n, claim=OWN, anonymousId=f"other-{n}") for n in range(12)),
    )
    own, copy = seen["shop.example"], seen["copy.example"]
    assert (own.own, copy.own) == (True, False)
    assert (own.records, copy.records) == (16, 12)
    assert set(copy.pages) < set(own.pages)
    assert (len(own.pages), len(copy.pages)) == (16, 12)
    assert not set(copy.anonymous_ids) & set(own.anonymous_ids)
    assert (len(own.user_ids), len(copy.user_ids)) == (16, 0)
    assert (own.canonical_shadows, copy.canonical_shadows) == (0, 12)
    assert copy.claims == {"shop.example": 12}
    assert (copy.workspace, copy.source, copy.write_key) == ("acme", "site", "known")
    assert (copy.hash_generation, copy.first_at, copy.last_at) == (3, NOW, NOW)


def test_networks_and_browsers_are_shares_of_records() -> None:
    def from_(ip: str, browser: str) -> bytes:
        return hit(COPY, headers={"ip": ip, "userAgent": browser})

    copy = observed(from_("203.0.113.9", "a"), from_("203.0.113.77", "a"), from_("198.51.100.1", "b"))
    assert sorted(copy["copy.example"].networks.values()) == [1, 2]
    assert sorted(copy["copy.example"].user_agents.values()) == [1, 2]


def test_self_referrals_are_clicks_within_the_host() -> None:
    seen = observed(
        hit(COPY, page={"referrer": f"{COPY}/p/1"}),
        hit(COPY, page={"referrer": "https://search.example/"}),
        hit(COPY, page={"referrer": "https://copy.example.evil.example/"}),
    )
    assert seen["copy.example"].self_referrals == 1


def test_no_claim_teaches_own_pages() -> None:
    assert observed(hit(None, claim=OWN)) == {}


def test_without_a_witness_a_foreign_claim_counts_and_is_no_shadow() -> None:
    seen = observed(hit(None, claim=COPY))["copy.example"]
    assert (seen.own, seen.records, seen.canonical_shadows) == (False, 1, 0)


def test_an_own_page_with_a_foreign_claim_is_own_and_of_one_row() -> None:
    seen = observed(hit(OWN), hit(OWN, 1, claim=COPY))
    assert {host: (row.own, row.records) for host, row in seen.items()} == {"shop.example": (True, 2)}


@pytest.mark.parametrize(
    "value",
    [
        hit("null", headers={"referer": f"{COPY}/"}),
        hit("https://shop-example.translate.goog"),
        envelope(),
    ],
)
def test_null_origins_and_rehosts_of_own_pages_and_what_has_no_page_are_not_observed(value: bytes) -> None:
    assert observed(value) == {}


def test_a_servers_records_are_not_observed_without_a_browsers_traces() -> None:
    assert observed(hit(None, claim=COPY), type=SourceType.SERVER) == {}
    assert "copy.example" in observed(hit(COPY), type=SourceType.SERVER)


def test_who_lists_no_hosts_is_observed_as_foreign_everywhere() -> None:
    seen = observed(hit(OWN), hit(COPY), allowed=())
    assert {host: row.own for host, row in seen.items()} == {"shop.example": False, "copy.example": False}


def test_counts_of_a_sample_are_those_of_all() -> None:
    values = [hit(OWN, n % 7, headers={"userAgent": "a"}) for n in range(6400)]
    own = observed(*values)["shop.example"]
    assert own.records == 6400
    assert own.user_agents.popitem()[1] == 6400
    assert len(own.pages) == 7


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of a span is kept: by itself, not by what the samples leave."""
    monkeypatch.setattr(samples, "FREE", (1000, 1000))
    monkeypatch.setattr(samples, "OF_GROUP", (1000, 1000))
    seen = observed(*(hit(f"https://h{n}.example", n) for n in range(500)))
    assert len(seen) == HOSTS_PER_KEY
    long = observed(*(hit(COPY, n, headers={"ip": f"10.{n}.7.1"}) for n in range(500)))["copy.example"]
    assert (len(long.anonymous_ids), len(long.pages) <= MAX_PAGES) == (SKETCH, True)
    assert len(long.networks) == 64


def test_another_key_leaves_nothing_in_common() -> None:
    one = observed(hit(COPY))["copy.example"]
    other = observed(hit(COPY), hashed=HashKey(4, b"l" * 32))["copy.example"]
    assert not set(one.pages) & set(other.pages)
    assert not set(one.anonymous_ids) & set(other.anonymous_ids)


def test_a_page_a_visitor_and_a_user_of_one_name_have_different_hashes() -> None:
    assert len({Hashes(HASHED, kind)["same"] for kind in ("page", "anonymous", "user")}) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.9", "203.0.113.200", True),
        ("203.0.113.9", "203.0.114.9", False),
        ("::ffff:203.0.113.9", "203.0.113.1", True),
        ("2001:db8:1:2::3", "2001:db8:1:f::1", True),
        ("2001:db8:1::", "2001:db8:2::", False),
    ],
)
def test_networks(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_what_is_no_address_is_of_no_network() -> None:
    assert network_of(None) is None
    assert network_of("planted") is None
