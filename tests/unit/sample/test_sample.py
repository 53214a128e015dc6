"""The shipped sample is what its generator makes, and holds what its README and policy.json say."""

import gzip
import json
import re
from collections import Counter
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from workers import sample
from workers.event_files import Wrapping, as_record
from workers.sample import generate
from workers.sample.generate import Key, Record

DOCUMENTATION = [
    ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
REAL_HOSTS = {  # of others than customers: search engines and re-hosts, which stand in URLs
    "www.google.com",
    "duckduckgo.com",
    "www.bing.com",
    "web.archive.org",
    "www-post-example.translate.goog",
    "www-mugshop-example.translate.goog",
    "com.google.android.gm",
}


@cache
def generated() -> tuple[list[Record], list[Key]]:
    return generate.generate()


@cache
def readable() -> list[dict[str, Any]]:
    """The envelopes of all records that are not dead letters."""
    return [json.loads(r.sent.value) for r in generated()[0] if r.fate.disposition != "dead-lettered"]


def test_shipped_events_are_what_the_generator_makes() -> None:
    # the content and not the file: zlib's versions compress to different bytes
    assert gzip.decompress(sample.EVENTS.read_bytes()) == generate.ndjson(generated()[0])


def test_the_file_carries_no_time_and_no_name() -> None:
    flags, mtime = sample.EVENTS.read_bytes()[3], sample.EVENTS.read_bytes()[4:8]
    assert (flags, mtime) == (0, bytes(4))


def test_shipped_policy_is_what_the_generator_makes() -> None:
    assert sample.POLICY.read_bytes() == generate.policy_json(generate.policy_file(*generated()))


def test_lines_reads_every_record_as_it_was_made() -> None:
    assert list(sample.lines()) == [record.sent.value for record in generated()[0]]


def test_send_sends_every_line_as_it_is() -> None:
    # a bare call would be wrapped, or refused for want of a key: the sample is to be sendable by hand too
    assert [as_record(line, Wrapping()).value for line in sample.lines()] == list(sample.lines())


def test_policy_counts_every_record_once() -> None:
    policy = sample.policy()
    counted = sum(
        count
        for dispositions in policy["expected"].values()
        for reasons in dispositions.values()
        for count in reasons.values()
    )
    assert counted == policy["records"] == len(list(sample.lines())) >= 6000


def test_another_seed_makes_another_sample() -> None:
    records, _ = generate.generate(seed=1)
    assert generate.ndjson(records) != generate.ndjson(generated()[0])


def test_every_line_is_one_record() -> None:
    assert not [
        r.sent.value
        for r in generated()[0]
        if b"\n" in r.sent.value or b"\r" in r.sent.value or not r.sent.value
    ]


def test_message_ids_are_unique_in_all_lines() -> None:
    ids = Counter(
        match.group(1)
        for record in generated()[0]
        for match in re.finditer(rb"""["']messageId["']: ?["']([^"']+)["']""", record.sent.value)
    )
    assert len(ids) > len(readable())  # the malformed ones have theirs too
    assert ids.most_common(1)[0][1] == 1


def test_every_sdk_and_kind_occurs() -> None:
    libraries = Counter(envelope["event"]["context"]["library"]["name"] for envelope in readable())
    assert libraries.keys() == {
        "analytics.js",
        "@segment/analytics-node",
        "analytics-python",
        "analytics-react-native",
    }
    assert min(libraries.values()) > 400
    kinds = {envelope["event"]["type"] for envelope in readable()}
    assert kinds == {"track", "identify", "page", "screen", "group", "alias"}


def test_addresses_are_documentation_ranges() -> None:
    addresses = {envelope["ip"] for envelope in readable()}
    assert len(addresses) > 500
    assert not [a for a in addresses if not any(ip_address(a) in network for network in DOCUMENTATION)]


def test_hosts_are_reserved_names_or_named_here() -> None:
    hosts = set()
    for envelope in readable():
        page = envelope["event"]["context"].get("page", {})
        for url in (envelope.get("origin"), envelope.get("referer"), page.get("url"), page.get("referrer")):
            hosts.add(urlsplit(url or "").hostname)
    foreign = {
        h for h in hosts if h and not h.rstrip(".").endswith((".example", ".example.net", ".example.org"))
    }
    assert foreign - {"mugshop.example."} - REAL_HOSTS <= {"mugshop.example"}


def test_record_sizes_are_as_the_readme_says() -> None:
    sizes = [len(line) for line in sample.lines()]
    readme = (sample.HERE / "README.md").read_text()
    assert f"A record has {round(sum(sizes) / len(sizes))} bytes on average" in readme
    assert f"`events.ndjson.gz` holds {len(sizes):,} records" in readme
    assert 200_000 < max(sizes) < 1_000_000


def test_policy_moves_keys_only_where_the_rules_let_them() -> None:
    policy = sample.policy()
    keys = {key["key"]: key for key in policy["keys"]}
    assert len(keys) == len(policy["keys"])
    assert {key["state"] for key in keys.values()} == {"active", "retiring", "revoked", "abused"}
    assert all((key["untilAfterMs"] is not None) == (key["state"] == "retiring") for key in keys.values())
    sources = {(w["id"], s["id"]) for w in policy["workspaces"] for s in w["sources"]}
    assert {(key["workspace"], key["source"]) for key in keys.values()} == sources
    assert all(keys[change["key"]]["state"] == "active" for change in policy["revokeDuring"])


def test_the_key_revoked_meanwhile_has_records_before_and_after() -> None:
    (change,) = sample.policy()["revokeDuring"]
    fates: Counter[tuple[bool, str]] = Counter(
        (at >= change["afterRecords"], record.fate.reason)
        for at, record in enumerate(generated()[0])
        if record.sent.key == change["key"]
    )
    assert fates[True, "revoked_key"] >= 20
    assert fates[False, "accepted"] >= 20
    assert not fates[False, "revoked_key"]
    assert not fates[True, "accepted"]
