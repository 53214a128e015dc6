"""The hot path keeps all of little traffic and a part of much, in bounded memory, whoever floods it."""

import pytest

from workers.intake import samples
from workers.intake.dispositions import PLATFORM, Decision, Disposition
from workers.intake.samples import Samples

OWN = Decision(Disposition.ACCEPTED, "accepted", "acme", "web")
SHADOW = Decision(Disposition.FLAGGED, "canonical_shadow", "acme", "web")


def lines(count: int, size: int = 10) -> list[bytes]:
    return [b"%*d" % (size, n) for n in range(count)]


def seen(decision: Decision, *chunks: int, size: int = 10) -> Samples:
    span = Samples(0)
    for count in chunks:
        span.see([(decision, lines(count, size))], 100, 200)
    return span


def test_what_has_little_traffic_is_kept_whole() -> None:
    assert list(seen(OWN, 5, 5, 6).groups[OWN].kept) == [*lines(5), *lines(5), *lines(6)]
    assert list(seen(SHADOW, 100).groups[SHADOW].kept) == lines(100)


def test_of_much_own_traffic_one_in_256_is_kept_spread_over_each_chunk() -> None:
    span = seen(OWN, *[1280] * 50)
    group = span.groups[OWN]
    assert group.records == 64_000
    assert len(group.kept) == 64_000 // 256 + samples.OF_GROUP[False]
    assert {int(line) // 640 for line in group.kept} == {0, 1}


def test_one_source_leaves_room_for_the_others_and_all_of_them_are_bounded() -> None:
    span = Samples(0)
    for number in range(1000):
        for decision in (OWN, SHADOW):
            span.see([(decision._replace(source=f"s{number}"), lines(20))], 100, 200)
    for foreign, reason in enumerate(("accepted", "canonical_shadow")):
        free = samples.FREE[foreign]
        kept = [len(group.kept) for decision, group in span.groups.items() if decision.reason == reason]
        assert sum(kept) <= free + 20_000 // samples.ONE_IN[foreign]
        assert sum(1 for each in kept if each) >= free // 20


def test_bytes_are_bounded() -> None:
    span = seen(SHADOW, *[8] * 100, size=1_000_000)
    assert span.bytes <= samples.BYTES_MAX + 8_000_000
    assert span.groups[SHADOW].records == 800


@pytest.mark.parametrize(
    "decision",
    [
        OWN._replace(workspace=PLATFORM),
        Decision(Disposition.REJECTED, "revoked_key", "acme", "web"),
        Decision(Disposition.FLAGGED, "null_origin", "acme", "web"),
    ],
)
def test_what_is_nobodys_or_refused_or_has_no_host_is_not_seen(decision: Decision) -> None:
    assert not seen(decision, 5).groups


def test_a_span_has_the_times_of_its_chunks() -> None:
    span = Samples(7)
    span.see([(OWN, lines(1))], 300, 400)
    span.see([(OWN, lines(1))], 100, 350)
    span.note(20, 1.5)
    span.note(30, 2.5)
    assert (span.first_at, span.last_at, span.start, span.end, span.began) == (100, 400, 7, 30, 1.5)
