"""What our contexts speak, and whom they refuse, on either end."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.stack.authority import Authority
from tests.unit.tls.handshake import shake
from workers.errors import Fatal
from workers.tls import client_context, server_context

Change = Callable[[ssl.SSLContext], None]


def tls_1_1(context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL itself would not offer it otherwise
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def tls_1_2_with(ciphers: str) -> Change:
    def change(context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)

    return change


def nothing(context: ssl.SSLContext) -> None:
    """TLS 1.3, as OpenSSL offers it."""


TAKEN = {"1.3": nothing, "1.2": tls_1_2_with("ECDHE-ECDSA-AES128-GCM-SHA256")}
REFUSED = {
    "1.1": tls_1_1,
    "CBC": tls_1_2_with("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA"),
    "ChaCha20 under 1.2": tls_1_2_with("ECDHE-ECDSA-CHACHA20-POLY1305"),
    "CCM": tls_1_2_with("ECDHE-ECDSA-AES128-CCM"),
}


def someones_client(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.trust))


def our_server(authority: Authority, client_ca_file: Path | None = None) -> ssl.SSLContext:
    cert_file, key_file = authority.issue("server")
    return server_context(cert_file=cert_file, key_file=key_file, client_ca_file=client_ca_file)


@pytest.mark.parametrize("change", TAKEN.values(), ids=TAKEN)
def test_good_versions_and_ciphers_are_spoken(authority: Authority, change: Change) -> None:
    client, server = someones_client(authority), authority.server("localhost")
    change(client)
    change(server)
    assert shake(client, our_server(authority)).shown == "server"
    assert shake(client_context(ca_file=authority.trust), server).shown == "localhost"


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_our_server_refuses_worse(authority: Authority, change: Change) -> None:
    client, somebody_else = someones_client(authority), authority.server("localhost")
    change(client)
    change(somebody_else)
    shake(client, somebody_else)  # it is not the certificate
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER"):
        shake(client, our_server(authority))


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_our_client_refuses_worse(authority: Authority, change: Change) -> None:
    server = authority.server("localhost")
    change(server)
    with pytest.raises(ssl.SSLError, match=r"UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER"):
        shake(client_context(ca_file=authority.trust), server)


def test_our_client_refuses_certificates_that_prove_nothing(
    authority: Authority, stranger: Authority
) -> None:
    ours = client_context(ca_file=authority.trust)
    for server, said in (
        (authority.server("other.example"), "Hostname mismatch"),
        (authority.server("localhost", expired=True), "certificate has expired"),
        (stranger.server("localhost"), "unable to get local issuer certificate"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match=said):
            shake(ours, server)


def test_a_server_that_asks_serves_only_whom_its_authority_vouches_for(
    authority: Authority, stranger: Authority
) -> None:
    server = our_server(authority, client_ca_file=authority.trust)
    worker = client_context(**authority.issue("worker")._asdict(), ca_file=authority.trust)
    assert shake(worker, server).client_shown == "worker"
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(client_context(ca_file=authority.trust), server)
    for unproven, said in (
        (stranger.issue("worker"), "unable to get local issuer certificate"),
        (authority.issue("worker", expired=True), "certificate has expired"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError, match=said):
            shake(client_context(**unproven._asdict(), ca_file=authority.trust), server)


def test_neither_end_relies_on_what_openssl_allows(authority: Authority) -> None:
    client = client_context()
    assert client.check_hostname
    assert client.verify_mode is ssl.CERT_REQUIRED
    for context in (client, our_server(authority)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        old = {str(cipher["name"]) for cipher in context.get_ciphers() if cipher["protocol"] != "TLSv1.3"}
        assert old
        assert all(name.startswith("ECDHE-") and "-GCM-" in name for name in old)
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("broken", ["cert_file", "key_file", "client_ca_file"])
@pytest.mark.parametrize("content", [None, b"", b"no PEM"])
def test_a_file_that_cannot_be_used_is_named(
    authority: Authority, tmp_path: Path, broken: str, content: bytes | None
) -> None:
    files = {**authority.issue("server")._asdict(), "client_ca_file": authority.trust}
    files[broken] = tmp_path / "broken.pem"
    if content is not None:
        files[broken].write_bytes(content)
    with pytest.raises(Fatal, match=r"^TLS file /.*\.(pem|crt) can't be used") as refused:
        server_context(**files)
    assert "must be PEM" in refused.value.remedy


def test_a_key_that_needs_a_password_is_refused_and_nobody_is_asked(authority: Authority) -> None:
    cert_file, key_file = authority.issue("server")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    with pytest.raises(Fatal, match="its key is encrypted"):
        server_context(cert_file=cert_file, key_file=key_file)
