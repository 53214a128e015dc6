"""What others have computed: Wycheproof for the primitives, Amazon's client and our past for the format."""

from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.sealing.load import vectors
from workers.intake.dispositions import Clock
from workers.sealing.format import derive, hkdf_expand, hkdf_extract, open_sealed, parse_header, seal
from workers.sealing.keys import Secret, Unit
from workers.sealing.refusals import Damaged, WrongCommitment, WrongContext, WrongKey
from workers.sealing.unit_key import Lease, UnitKey

AES_GCM = vectors("wycheproof/aes_gcm_256_96_128.json")["tests"]
HKDF = vectors("wycheproof/hkdf_sha512_one_round.json")["tests"]
JAVA = vectors("official/java.json")
OFFICIAL = [
    {**test, "name": f"{language}-{test['name']}"}
    for language, file in (("python", vectors("official/objects.json")), ("java", JAVA))
    for test in file["objects"]
]
JAVA_OURS = [test for test in JAVA["objects"] if test["name"].startswith("ours-")]


def by_id(test: dict[str, Any]) -> str:
    return f"{test['tcId']}-{test['result']}"


@pytest.mark.parametrize("test", AES_GCM, ids=by_id)
def test_the_linked_aes_gcm_agrees_with_wycheproof(test: dict[str, Any]) -> None:
    key, iv, aad, plain, sealed = (bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct"))
    sealed += bytes.fromhex(test["tag"])
    if test["result"] == "valid":
        assert AESGCM(key).encrypt(iv, plain, aad) == sealed
        assert AESGCM(key).decrypt(iv, sealed, aad) == plain
    else:
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(iv, sealed, aad)


@pytest.mark.parametrize("test", HKDF, ids=by_id)
def test_our_hkdf_agrees_with_wycheproof(test: dict[str, Any]) -> None:
    prk = hkdf_extract(bytes.fromhex(test["salt"]), bytes.fromhex(test["ikm"]))
    assert hkdf_expand(prk, bytes.fromhex(test["info"]), test["size"]).hex() == test["okm"]


def test_hkdf_refuses_a_second_round() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        hkdf_expand(bytes(64), b"", 65)


@pytest.mark.parametrize("test", OFFICIAL, ids=lambda test: str(test["name"]))
def test_objects_of_amazons_client_open(test: dict[str, Any]) -> None:
    header = parse_header(test["metadata"])
    header.require(test["context"])
    assert header.wrapped == b64decode(test["wrapped"])
    assert open_sealed(b64decode(test["body"]), header, bytes.fromhex(test["dek"])) == b64decode(
        test["plain"]
    )


@pytest.mark.parametrize("test", OFFICIAL, ids=lambda test: str(test["name"]))
def test_sealing_again_gives_what_amazons_client_wrote(test: dict[str, Any]) -> None:
    dek, msgid = bytes.fromhex(test["dek"]), b64decode(test["metadata"]["x-amz-i"])
    again = seal(
        b64decode(test["plain"]),
        dek=dek,
        msgid=msgid,
        wrapped=b64decode(test["wrapped"]),
        context=test["context"],
    )
    assert again.body == b64decode(test["body"])
    assert {**again.metadata, "x-amz-t": ""} == {**test["metadata"], "x-amz-t": ""}
    assert parse_header(again.metadata).context == parse_header(test["metadata"]).context
    assert derive(dek, msgid)[1] == b64decode(test["metadata"]["x-amz-d"])


def key_in(stored: dict[str, Any]) -> UnitKey:
    workspace, source, day, clock = stored["unit"]
    return UnitKey(
        Unit(workspace, source, day, Clock(clock)),
        Secret(bytes.fromhex(stored["key"])),
        generation=stored["generation"],
        durable=False,
        lease=Lease(float("inf")),
    )


@pytest.mark.parametrize("test", JAVA_OURS, ids=lambda test: str(test["name"]))
def test_an_object_that_amazons_java_client_wrote_for_a_unit_opens_as_that_and_nothing_else(
    test: dict[str, Any],
) -> None:
    """Its key service wrapped the data key under the unit's key, as ours does."""
    key, body, metadata = key_in(JAVA), b64decode(test["body"]), test["metadata"]
    assert key.open(body, metadata, test["key"]) == b64decode(test["plain"])
    with pytest.raises(WrongContext):
        key.open(body, metadata, test["key"] + "x")
    for at in range(0, len(body), 97):
        with pytest.raises(Damaged):
            key.open(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], metadata, test["key"])
    with pytest.raises(Damaged):
        key.open(body[:-1], metadata, test["key"])
    wrapped = b64decode(metadata["x-amz-3"])
    another = b64encode(wrapped[:-1] + bytes([wrapped[-1] ^ 1])).decode()
    with pytest.raises(WrongKey):
        key.open(body, {**metadata, "x-amz-3": another}, test["key"])
    with pytest.raises(WrongCommitment):
        key.open(body, {**metadata, "x-amz-i": b64encode(bytes(28)).decode()}, test["key"])


def test_there_are_objects_of_both_of_amazons_clients() -> None:
    assert len(JAVA_OURS) == 4
    assert {test["name"].partition("-")[0] for test in OFFICIAL} == {"python", "java"}


def test_an_object_of_ours_from_long_ago_opens() -> None:
    stored = vectors("ours/opens.json")
    opened = key_in(stored).open(b64decode(stored["body"]), stored["metadata"], stored["object"])
    assert opened == b64decode(stored["plain"])
