"""Keys that sign come from PEM files; what can't be used is refused in words that say what to do."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workers.errors import Fatal
from workers.sealing.signing import Signer, Trust


def private(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


def public(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)


def written(path: Path, body: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(body)
    path.chmod(mode)
    return path


OLD, NEW, STRANGE = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
CURVE = ec.generate_private_key(ec.SECP256R1())


def test_several_public_keys_are_believed_and_no_other(tmp_path: Path) -> None:
    trust = Trust.load(written(tmp_path / "trusted.pem", b"# old\n" + public(OLD) + public(NEW), 0o644))
    for key, believed in ((OLD, True), (NEW, True), (STRANGE, False)):
        signer = Signer.load(written(tmp_path / "key.pem", private(key)))
        signature = signer.sign(b"said")
        assert trust.signed(b"said", signer.key, signature) is believed
        assert not trust.signed(b"unsaid", signer.key, signature)


@pytest.mark.parametrize("body", [b"", b"nonsense", private(CURVE), public(OLD), private(OLD)[:40]])
def test_no_private_key_of_ed25519_is_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no private key of Ed25519") as refused:
        Signer.load(written(tmp_path / "key.pem", body))
    assert "openssl genpkey" in refused.value.remedy


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="open to others"):
        Signer.load(written(tmp_path / "key.pem", private(OLD), 0o640))


@pytest.mark.parametrize("body", [b"", b"nonsense", public(CURVE), private(OLD), public(OLD) + public(CURVE)])
def test_no_public_keys_of_ed25519_are_refused(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="no public key"):
        Trust.load(written(tmp_path / "trusted.pem", body))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for load in (Signer.load, Trust.load):
        with pytest.raises(Fatal, match=r"none\.pem can't be read"):
            load(tmp_path / "none.pem")


def test_its_text_names_the_key_alone() -> None:
    assert repr(Signer(OLD)) == f"Signer({Signer(OLD).key})"
