"""`strongroom rejections` sums over batches, counts no batch twice, and ranks who is refused most."""

from msgspec.structs import replace

from tests.unit.topics.test_values import REJECTION
from topics.rejections import Rejection, codec
from workers.cli.rejections import Told, Totals


def encoded(*rows: Rejection) -> list[bytes]:
    return [codec.encode(row) for row in rows]


def test_batches_add_up_and_one_that_was_told_twice_counts_once() -> None:
    later = replace(REJECTION, start=20, end=30, attempt="a2", first_at=60_000, last_at=90_000, records=2)
    elsewhere = replace(REJECTION, host="other.example", records=100)
    told, totals = Told(), Totals()
    totals.add(told.take(encoded(REJECTION, later)))
    totals.add(told.take([*encoded(REJECTION, elsewhere), b"garbage"]))
    assert totals.rows(window_ms=120_000) == [
        ("acme", "web", "k1", "revoked_key", "other.example", 100, 50.0, *_times(1, 2)),
        ("acme", "web", "k1", "revoked_key", "copy.example", 6, 3.0, *_times(1, 90_000)),
    ]
    assert told.unreadable == 1


def test_of_one_workspace_only_its_own() -> None:
    told = Told("globex")
    assert told.take(encoded(REJECTION)) == []
    assert len(told.take(encoded(replace(REJECTION, workspace="globex")))) == 1


def test_who_follows_remembers_the_newest_rows_alone() -> None:
    told = Told(remembers=10)
    batches = encoded(*(replace(REJECTION, start=n, end=n + 1) for n in range(1000)))
    for batch in batches:
        assert len(told.take([batch, batch])) == 1
        assert len(told._seen) <= 10
    assert told.take(batches[-10:]) == []


def _times(first: int, last: int) -> tuple[str, str]:
    return f"1970-01-01T00:{first // 60_000:02}:{first / 1000 % 60:06.3f}Z", (
        f"1970-01-01T00:{last // 60_000:02}:{last / 1000 % 60:06.3f}Z"
    )
