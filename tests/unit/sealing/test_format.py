"""What sealing writes, what it refuses to write, and that the two ways fit."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.intake.dispositions import Clock
from workers.sealing import format as sealed_format
from workers.sealing.format import METADATA_MAX, open_sealed, parse_header, seal, size_of
from workers.sealing.keys import Secret, Unit, new_key
from workers.sealing.refusals import KeyExpired, MalformedContext, TooLarge, WrongCommitment
from workers.sealing.unit_key import Lease, UnitKey

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)


def unit_key(*, durable: bool = True, until: float = float("inf")) -> UnitKey:
    return UnitKey(UNIT, new_key(), generation=1, durable=durable, lease=Lease(until))


@given(st.binary(max_size=5000))
def test_what_is_sealed_opens(plain: bytes) -> None:
    key = unit_key()
    for shape in (plain, bytearray(plain), memoryview(plain)):
        body, metadata = key.seal(shape, "data/one")
        assert len(body) == len(plain) + 16
        assert key.open(body, metadata, "data/one") == plain


def test_no_two_objects_share_a_data_key_or_message_id() -> None:
    key = unit_key()
    sealed = [key.seal(b"same", "data/one") for _ in range(50)]
    for name in ("x-amz-3", "x-amz-i", "x-amz-d"):
        assert len({one.metadata[name] for one in sealed}) == 50
    assert len({one.body for one in sealed}) == 50


def test_a_key_serves_many_threads() -> None:
    key, plain, failures = unit_key(), os.urandom(40_000), []

    def work(number: int) -> None:
        for round_ in range(20):
            name = f"data/{number}/{round_}"
            if key.open(*key.seal(plain, name), name) != plain:
                failures.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_header_is_the_one_that_amazons_clients_read() -> None:
    metadata = unit_key().seal(b"x", "data/one").metadata
    assert sorted(metadata) == ["x-amz-3", "x-amz-c", "x-amz-d", "x-amz-i", "x-amz-t", "x-amz-w"]
    assert (metadata["x-amz-c"], metadata["x-amz-w"]) == ("115", "12")
    assert metadata["x-amz-t"] == (
        '{"aws:x-amz-cek-alg":"115","clock":"main","day":"2026-11-25","object":"data/one",'
        '"source":"web","workspace":"acme"}'
    )


def test_the_longest_names_still_fit() -> None:
    unit = Unit("w" * 64, "s" * 64, "2026-11-25", Clock.QUARANTINE)
    key = UnitKey(unit, new_key(), generation=1, durable=True, lease=Lease(float("inf")))
    name = f"data/ws={unit.workspace}/src={unit.source}/day={unit.day}/dead-lettered/{'t' * 249}-{'0' * 120}"
    assert size_of(key.seal(b"", name).metadata) < METADATA_MAX


def test_a_header_too_long_for_s3_is_refused() -> None:
    key = unit_key()
    fits = METADATA_MAX - size_of(key.seal(b"", "").metadata)
    assert size_of(key.seal(b"", "o" * fits).metadata) == METADATA_MAX
    with pytest.raises(MalformedContext, match="2001 bytes"):
        key.seal(b"", "o" * (fits + 1))


@pytest.mark.parametrize("name", ["données", "a\nb", "a\x00", "a\x7f", "日"])
def test_a_name_that_clients_would_read_differently_is_refused(name: str) -> None:
    with pytest.raises(MalformedContext, match="US-ASCII"):
        unit_key().seal(b"", name)
    with pytest.raises(MalformedContext, match="US-ASCII"):
        seal(b"", dek=bytes(32), msgid=bytes(28), wrapped=b"", context={"object": name})


def test_the_suites_own_pair_can_not_be_given() -> None:
    with pytest.raises(MalformedContext, match="own"):
        seal(b"", dek=bytes(32), msgid=bytes(28), wrapped=b"", context={"aws:x-amz-cek-alg": "115"})


def test_backslashes_and_quotes_are_as_good_as_any_name() -> None:
    key, name = unit_key(), 'a\\u0041"b'
    assert key.open(*key.seal(b"x", name), name) == b"x"


@pytest.mark.parametrize(("dek", "msgid"), [(16, 28), (31, 28), (33, 28), (32, 27), (32, 29), (0, 0)])
def test_keys_of_other_lengths_are_a_mistake(dek: int, msgid: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(b"", dek=bytes(dek), msgid=bytes(msgid), wrapped=b"", context={})


def test_more_than_one_call_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_format, "PLAIN_MAX", 100)
    key = unit_key()
    key.seal(bytes(100), "data/one")
    with pytest.raises(TooLarge, match="101 bytes"):
        key.seal(bytes(101), "data/one")


def test_the_commitment_is_checked_before_anything_is_decrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    body, metadata = unit_key().seal(b"x", "data/one")

    class NoCipher:
        def __init__(self, key: bytes) -> None:
            raise AssertionError("a cipher was made before the commitment was checked")

    monkeypatch.setattr(sealed_format, "AESGCM", NoCipher)
    with pytest.raises(WrongCommitment):
        open_sealed(body, parse_header(metadata), Secret(bytes(32)))


def test_an_expired_key_neither_seals_nor_opens() -> None:
    key = unit_key()
    sealed = key.seal(b"x", "data/one")
    key.expire()
    for use in (key.check, lambda: key.seal(b"x", "data/one"), lambda: key.open(*sealed, "data/one")):
        with pytest.raises(KeyExpired, match="acme/web/2026-11-25/main"):
            use()


def test_a_key_that_may_be_in_one_bucket_only_does_not_seal() -> None:
    with pytest.raises(ValueError, match="without create"):
        unit_key(durable=False).seal(b"x", "data/one")
