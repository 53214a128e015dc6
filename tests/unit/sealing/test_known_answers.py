"""What others have computed: Wycheproof for the primitives, Amazon's client and our past for the format."""

from base64 import b64decode
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.vectors.sealing.load import vectors
from workers.intake.dispositions import Clock
from workers.sealing.format import derive, hkdf_expand, hkdf_extract, open_sealed, parse_header, seal
from workers.sealing.keys import Secret, Unit
from workers.sealing.unit_key import Lease, UnitKey

AES_GCM = vectors("wycheproof/aes_gcm_256_96_128.json")["tests"]
HKDF = vectors("wycheproof/hkdf_sha512_one_round.json")["tests"]
OFFICIAL = vectors("official/objects.json")["objects"]


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


def test_an_object_of_ours_from_long_ago_opens() -> None:
    stored = vectors("ours/opens.json")
    workspace, source, day, clock = stored["unit"]
    key = UnitKey(
        Unit(workspace, source, day, Clock(clock)),
        Secret(bytes.fromhex(stored["key"])),
        generation=stored["generation"],
        durable=False,
        lease=Lease(float("inf")),
    )
    assert key.open(b64decode(stored["body"]), stored["metadata"], stored["object"]) == b64decode(
        stored["plain"]
    )
