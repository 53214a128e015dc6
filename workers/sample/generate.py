"""Makes events.ndjson.gz and policy.json: `python -m workers.sample.generate [FOLDER]`. Always the same.

What must become of each record is known where it is made, and never asked of the program under test:
policy.json carries the sums, and whoever sends the sample compares.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, UNCLAIMED
from workers.sample import sessions, values
from workers.sample.customers import CUSTOMERS, Customer, Source
from workers.sample.malformed import broken
from workers.sample.plan import KEYS, REVOKED_DURING, STAGES, UNKNOWN_KEYS
from workers.sample.sessions import Sent

SEED = 20261123
BEGAN = 1_795_428_000_000  # 2026-11-23T10:00:00Z in ms: when the first visit starts
LASTS = 20 * sessions.MINUTE
REVOKED_DURING_AFTER = 0.6  # of all records: then the key of REVOKED_DURING is revoked


class Fate(NamedTuple):
    workspace: str
    source: str
    disposition: str
    reason: str


class Record(NamedTuple):
    sent: Sent
    fate: Fate


class Key(NamedTuple):
    """A write key as policy.json has it: each is added active, then moved to `state` before sending."""

    key: str
    workspace: str
    source: str
    state: str
    reason: str
    until_after: int | None  # ms from the moment it is set: when a retiring key ends


def generate(seed: int = SEED) -> tuple[list[Record], list[Key]]:
    """All records in the order to send them, and the keys that they need."""
    random = Random(seed)  # noqa: S311 - nothing is kept secret with it
    keys = [
        Key(values.write_key(random), kind.workspace, kind.source, kind.state, kind.reason, kind.until_after)
        for kind in KEYS
    ]
    records = list(chain(_ordinary(random, keys), _staged(random, keys), _strangers(random)))
    records += _odd_but_good(random, keys)
    records += _malformed(random, records)
    records.sort(key=lambda record: (record.sent.at, record.sent.value))
    return _revoked_during(records, keys[KEYS.index(REVOKED_DURING)].key), keys


def _began(random: Random) -> int:
    return BEGAN + random.randrange(LASTS)


def _source(workspace: str, source: str) -> Source:
    customer = next(customer for customer in CUSTOMERS if customer.id == workspace)
    return next(mine for mine in customer.sources if mine.id == source)


def _ordinary(random: Random, keys: Iterable[Key]) -> Iterator[Record]:
    for kind, key in zip(KEYS, keys, strict=True):
        fate = Fate(kind.workspace, kind.source, kind.disposition, kind.rule)
        for _ in range(kind.sessions):
            for sent in sessions.ordinary(random, _source(*fate[:2]), key.key, _began(random)):
                yield Record(sent, fate)


def _staged(random: Random, keys: list[Key]) -> Iterator[Record]:
    for workspace, source, visits, stage, rule in STAGES:
        key = next(key.key for key in keys if (key.workspace, key.source) == (workspace, source))
        fate = Fate(
            workspace, source, "accepted" if rule in {None, "rehosted"} else "flagged", rule or "accepted"
        )
        for _ in range(visits):
            for sent in sessions.visit(random, _source(workspace, source), key, _began(random), stage):
                yield Record(sent, fate)


def _strangers(random: Random) -> Iterator[Record]:
    """Keys that nobody registered: typed wrong, of another fleet, or invented."""
    fate = Fate(PLATFORM, UNCLAIMED, "quarantined", "unknown_key")
    for number in range(UNKNOWN_KEYS):
        key = values.write_key(random)
        source = _source("mugshop", "warehouse") if number % 2 else _source("morning-post", "site")
        yield from (Record(sent, fate) for sent in sessions.ordinary(random, source, key, _began(random)))


def _odd_but_good(random: Random, keys: list[Key]) -> Iterator[Record]:
    """Records at the edge of what is allowed, which must come through byte for byte."""
    key = keys[0]
    fate = Fate(key.workspace, key.source, "accepted", "accepted")

    def one() -> Sent:
        return next(sessions.visit(random, _source(key.workspace, key.source), key.key, _began(random)))

    def with_property(name: bytes, value: bytes) -> Record:
        sent = one()
        value = sent.value.replace(b'"properties":{', b'"properties":{"' + name + b'":' + value + b",", 1)
        return Record(sent._replace(value=value), fate)

    yield with_property(
        b"basket", json.dumps([f"MUG-{n:05d}" for n in range(18_000)]).encode()
    )  # about 200 kB
    # a title that was cut through an emoji: browsers write the lone half as an escape (RFC 8259, 8.2)
    yield with_property(b"teaser", b'"Free shipping \\ud83d"')
    yield with_property(b"separators", '"\u2028\u2029\u0000\u200d\ufeff"'.encode().replace(b"\0", b"\\u0000"))
    yield with_property(
        b"flags", '"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f é é ﷺ"'.encode()
    )
    yield with_property(b"big", b"123456789012345678901234567890e-12")
    yield with_property(b"deep", b"[" * 100 + b"]" * 100)


def _malformed(random: Random, sound: list[Record]) -> Iterator[Record]:
    accepted = [record.sent for record in sound if record.fate.reason == "accepted"]

    def good() -> bytes:
        # a call of its own: its messageId must not be that of a record that is read
        original = random.choice(accepted)
        while len(original.value) > 10_000:
            original = random.choice(accepted)
        start = original.value.index(b'"messageId":') + 12
        end = original.value.index(b'"', original.value.index(b'"', start) + 1)
        return original.value[: end - 36] + values.uuid(random).encode() + original.value[end:]

    for reason, value in broken(random, good):
        key = values.write_key(random)  # a collector that sends garbage may well key it
        yield Record(Sent(_began(random), key, value), Fate(PLATFORM, DEAD_LETTERS, "dead-lettered", reason))


def _revoked_during(records: list[Record], key: str) -> list[Record]:
    after = revoke_after(len(records))
    return [
        record._replace(fate=record.fate._replace(disposition="rejected", reason="revoked_key"))
        if at >= after and record.sent.key == key
        else record
        for at, record in enumerate(records)
    ]


def revoke_after(records: int) -> int:
    """How many of the records go before the revocation."""
    return int(records * REVOKED_DURING_AFTER)


def policy_file(records: list[Record], keys: list[Key]) -> dict[str, Any]:
    during = keys[KEYS.index(REVOKED_DURING)]
    return {
        "format": 1,
        "seed": SEED,
        "workspaces": [_workspace(customer) for customer in CUSTOMERS],
        "keys": [
            {
                "key": key.key,
                "workspace": key.workspace,
                "source": key.source,
                "state": key.state,
                "reason": key.reason,
                "untilAfterMs": key.until_after,
            }
            for key in keys
        ],
        "revokeDuring": [
            {"key": during.key, "afterRecords": revoke_after(len(records)), "reason": "leaked this minute"}
        ],
        "records": len(records),
        "bytes": sum(len(record.sent.value) for record in records),
        "expected": expected(records),
    }


def _workspace(customer: Customer) -> dict[str, Any]:
    return {
        "id": customer.id,
        "state": customer.state,
        "plan": customer.plan,
        "retentionDays": customer.retention_days,
        "allowedOrigins": list(customer.allowed_origins),
        "sources": [
            {"id": source.id, "type": source.type, "allowedOrigins": list(source.allowed_origins)}
            for source in customer.sources
        ],
    }


def expected(records: Iterable[Record]) -> dict[str, dict[str, dict[str, int]]]:
    """workspace → disposition → reason → records."""
    sums: Counter[tuple[str, str, str]] = Counter(
        (record.fate.workspace, record.fate.disposition, record.fate.reason) for record in records
    )
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for (workspace, disposition, reason), count in sorted(sums.items()):
        nested.setdefault(workspace, {}).setdefault(disposition, {})[reason] = count
    return nested


def ndjson(records: Iterable[Record]) -> bytes:
    return b"".join(record.sent.value + b"\n" for record in records)


def policy_json(policy: dict[str, Any]) -> bytes:
    return json.dumps(policy, indent=1, ensure_ascii=False).encode() + b"\n"


def main(folder: str = str(Path(__file__).parent)) -> None:
    records, keys = generate()
    policy = policy_file(records, keys)
    # no time and no name in the header: the same content gives the same file
    (Path(folder) / "events.ndjson.gz").write_bytes(gzip.compress(ndjson(records), 9, mtime=0))
    (Path(folder) / "policy.json").write_bytes(policy_json(policy))
    print(f"{policy['records']} records, {policy['bytes']} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
