"""What sorting costs a record, in phases of one run: `python -m tests.benchmarks.bench_sort`.

CPU time, and the phases share one set of records: their ratios hold whatever else the machine is doing. The
last ones are what a forger, or a collector with a fault, can make of the same records.
"""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
from msgspec.structs import replace as replace_fields

from tests.runs import runs_of
from topics import origin_verdicts, workspaces, write_keys
from topics.origin_verdicts import OriginVerdict, VerdictKind
from topics.workspaces import OverQuota, Source, SourceType, Workspace
from topics.write_keys import KeyState, WriteKey
from workers.intake import envelope
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, Sorting, SortLimits
from workers.stream.chunk import Run

NOW = 1_795_600_000_000
KEYS = 200
RECORDS = 1360  # of 770 bytes: a fetch of 1 MiB
ROUNDS = 60
VERDICTS = 50  # hosts that each key has copies on


@dataclass
class Record:
    offset: int
    timestamp: int
    timestamp_type: int
    value: bytes | None


def policy_of(keys: int, over: OverQuota = OverQuota.OFF) -> Policy:
    """Four keys a workspace, one in four a server's, and three of four workspaces list their origins.

    With a choice of what is over them each key has quotas that it never reaches.
    """
    policy = Policy()
    for number in range(keys // 4):
        workspace = replace_fields(
            workspace_of(number, seq=1), quota_records=10**9, quota_bytes=10**12, over_quota=over
        )
        policy.apply_workspace(workspaces.codec.encode(workspace))
    for number in range(keys):
        policy.apply_write_key(
            write_keys.codec.encode(
                WriteKey(
                    key=f"wk_{number:016x}",
                    workspace=f"ws-{number // 4}",
                    source=f"site-{number % 4}",
                    state=KeyState.ACTIVE,
                    changed_at=NOW,
                    shard=0,
                    seq=1,
                )
            )
        )
    return policy


def workspace_of(number: int, seq: int) -> Workspace:
    return Workspace(
        id=f"ws-{number}",
        sources=(
            *(Source(id=f"site-{site}") for site in range(3)),
            Source(id="site-3", type=SourceType.SERVER),
        ),
        allowed_origins=(f"[*.]shop{number}.example",) if number % 4 else (),
        retention_days=90,
        changed_at=NOW,
        shard=0,
        seq=seq,
    )


def verdict_of(key: int, host: str) -> bytes:
    return origin_verdicts.codec.encode(
        OriginVerdict(
            key=f"wk_{key:016x}",
            workspace=f"ws-{key // 4}",
            host=host,
            kind=VerdictKind.COPY,
            changed_at=NOW,
            shard=0,
            seq=1,
        )
    )


def records_of(seed: int, size: int = 770) -> list[Record]:
    chance = random.Random(seed)
    return [
        Record(offset, NOW, 1, value_of(chance, chance.randrange(KEYS), size)) for offset in range(RECORDS)
    ]


def value_of(chance: random.Random, key: int, size: int) -> bytes:
    site = f"https://www.shop{key // 4}.example"
    path = f"/p/{chance.randrange(100_000)}"
    browser = key % 4 != 3
    page = {
        "path": path,
        "referrer": f"{site}/",
        "search": "",
        "title": "Blue suède shoes",
        "url": site + path,
    }
    value: dict[str, object] = {
        "v": 1,
        "writeKey": f"wk_{key:016x}",
        "receivedAt": "2026-11-23T10:00:00.000Z",
        "ip": "203.0.113.9",
        "userAgent": "Mozilla/5.0 (Macintosh) Safari/605.1.15",
        "event": {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"ajs-next-{chance.getrandbits(128):032x}",
            "anonymousId": f"{chance.getrandbits(128):032x}",
            "timestamp": "2026-11-23T10:00:00.000Z",
            "context": {
                "library": {"name": "analytics.js", "version": "npm:next-1.70.0"},
                "locale": "de-DE",
                **({"page": page} if browser else {}),
            },
            "properties": {"product_id": path[3:], "price": 49.9, "currency": "EUR", "pad": ""},
        },
    }
    if browser:
        value |= {"origin": site, "referer": f"{site}/"}
    encoded = msgspec.json.encode(value)
    return encoded.replace(b'"pad":""', b'"pad":"%s"' % (b"x" * (size - len(encoded))))


def best(phases: dict[str, Callable[[], object]]) -> dict[str, float]:
    """µs a record of each phase's quickest round: the others were disturbed. The phases take turns."""
    times = dict.fromkeys(phases, float("inf"))
    for _ in range(ROUNDS):
        for name, phase in phases.items():
            began = time.process_time()
            phase()
            times[name] = min(times[name], time.process_time() - began)
    return {name: seconds / RECORDS * 1e6 for name, seconds in times.items()}


def main() -> None:
    records = records_of(seed=7)
    runs, values = runs_of(records), [record.value or b"" for record in records]
    policy = policy_of(KEYS)
    sorter = Sorter(policy)

    def bare() -> None:
        lines: list[bytes | None] = []
        for record in records:
            lines.append(record.value)

    def decode() -> None:
        for value in values:
            envelope.decode(value)

    def sort() -> None:
        sorter.sort(runs, now=NOW, into=Sorting())

    alone = [Run([record.offset], record.timestamp, [record.value]) for record in records]

    def sort_one_by_one() -> None:
        sorter.sort(alone, now=NOW, into=Sorting())

    metered = Sorter(policy_of(KEYS, OverQuota.FLAG))

    def sort_with_quotas() -> None:
        metered.sort(runs, now=NOW, into=Sorting())

    judged = policy_of(KEYS)
    for key in range(KEYS):
        for host in range(VERDICTS):
            judged.apply_verdict(verdict_of(key, f"copy-{host}.example"))
    with_verdicts = Sorter(judged)

    def sort_with_verdicts() -> None:
        with_verdicts.sort(runs, now=NOW, into=Sorting())

    updates = iter(range(2, 10**9))

    def sort_with_updates() -> None:
        # 50 workspace updates/s at 200,000 records/s is one every 4,000 records; this is one every 1,360
        seq = next(updates)
        policy.apply_workspace(workspaces.codec.encode(workspace_of(seq % (KEYS // 4), seq)))
        sort()

    def sort_changed(change: Callable[[bytes, int], bytes]) -> Callable[[], None]:
        changed = [replace(record, value=change(record.value or b"", record.offset)) for record in records]
        limits = SortLimits(unknown_key_bytes=10**12, unknown_key_share=1.0)
        runs = runs_of(changed)
        return lambda: Sorter(policy, limits).sort(runs, now=NOW, into=Sorting())

    size = sum(map(len, values)) / RECORDS
    phases: dict[str, Callable[[], object]] = {
        "bare loop": bare,
        "decode only": decode,
        "whole sort": sort,
        "batches of one": sort_one_by_one,
        "with quotas": sort_with_quotas,
        "with verdicts": sort_with_verdicts,
        "with updates": sort_with_updates,
        "nothing kept": sort_changed(lambda value, _: value),
        "unknown keys": sort_changed(lambda value, offset: value.replace(b'"wk_', b'"%d_' % offset)),
        "new hosts": sort_changed(
            lambda value, offset: value.replace(b"https://www", b"https://%d" % offset)
        ),
        "re-hosts": sort_changed(
            lambda value, _: re.sub(rb"www\.(shop\d+)\.example", rb"www-\1-example.translate.goog", value)
        ),
        "odd types": sort_changed(lambda value, _: value.replace(b'"page":{', b'"page":7,"x":{')),
        "not JSON": sort_changed(lambda value, _: value[:-1]),
        "not UTF-8": sort_changed(lambda value, _: value.replace(b"xxxx", b"xx\xffx", 1)),
        "line breaks": sort_changed(lambda value, _: value + b"\r\n"),
    }
    costs = best(phases)
    print(f"{RECORDS} records of {size:.0f} bytes, {KEYS} keys, best of {ROUNDS} rounds")
    for name, cost in costs.items():
        print(f"{name:14} {cost:6.3f} µs a record  {cost / costs['decode only']:5.2f} of decode")


if __name__ == "__main__":
    main()
