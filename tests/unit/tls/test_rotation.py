"""Certificates are replaced while connections are made with them; what can't be used changes nothing."""

import shutil
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.stack.authority import Authority, Identity
from tests.unit.tls.handshake import shake
from workers.tls import client_context, server_context
from workers.tls_rotation import LOOK_EVERY


class Clock:
    """Moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self) -> None:
        """So long that the files are looked at again."""
        self.now += LOOK_EVERY


@pytest.fixture
def clock() -> Clock:
    return Clock()


def put(source: Path, live: Path) -> None:
    copy = live.with_suffix(".new")
    shutil.copy(source, copy)
    copy.replace(live)


def test_the_next_connection_shows_the_servers_new_certificate(authority: Authority, clock: Clock) -> None:
    live, new = authority.issue("old"), authority.issue("new")
    server = server_context(**live._asdict(), clock=clock)
    client = client_context(ca_file=authority.trust)
    open_before = shake(client, server)
    put(new.cert_file, live.cert_file)
    put(new.key_file, live.key_file)
    assert shake(client, server).shown == "old"  # it has not looked yet
    clock.pass_by()
    with capture_logs() as logged:
        assert shake(client, server).shown == "new"
        assert shake(client, server).shown == "new"
    assert [line["event"] for line in logged] == ["tls_files_reloaded"]
    assert open_before.carries(b"the old connection lives on")


def test_files_that_did_not_change_are_not_read_again(authority: Authority, clock: Clock) -> None:
    server = server_context(**authority.issue("server")._asdict(), clock=clock)
    clock.pass_by()
    with capture_logs() as logged:
        shake(client_context(ca_file=authority.trust), server)
    assert logged == []


def test_the_next_connection_trusts_the_clients_new_authority(
    authority: Authority, stranger: Authority, clock: Clock
) -> None:
    client = client_context(ca_file=authority.trust, clock=clock)
    server = stranger.server("localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client, server)
    put(stranger.trust, authority.trust)
    clock.pass_by()
    assert shake(client, server).shown == "localhost"
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):  # as strict as before
        shake(client, server, "other.example")


def test_the_next_connection_shows_the_clients_new_certificate(authority: Authority, clock: Clock) -> None:
    live, new = authority.issue("old"), authority.issue("new")
    client = client_context(ca_file=authority.trust, **live._asdict(), clock=clock)
    server = server_context(**authority.issue("server")._asdict(), client_ca_file=authority.trust)
    assert shake(client, server).client_shown == "old"
    put(new.cert_file, live.cert_file)
    put(new.key_file, live.key_file)
    clock.pass_by()
    assert shake(client, server).client_shown == "new"


def test_a_server_asks_for_certificates_of_the_new_authority(
    authority: Authority, stranger: Authority, clock: Clock
) -> None:
    asked = authority.issue("server")
    server = server_context(**asked._asdict(), client_ca_file=authority.trust, clock=clock)
    ca_file = authority.trust.with_suffix(".copy")
    shutil.copy(authority.trust, ca_file)
    old = client_context(ca_file=ca_file, **authority.issue("old")._asdict())
    new = client_context(ca_file=ca_file, **stranger.issue("new")._asdict())
    assert shake(old, server).client_shown == "old"
    put(stranger.trust, authority.trust)
    clock.pass_by()
    assert shake(new, server).client_shown == "new"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(old, server)


def test_a_certificate_waits_for_its_key(authority: Authority, clock: Clock) -> None:
    live, new = authority.issue("old"), authority.issue("new")
    server = server_context(**live._asdict(), clock=clock)
    client = client_context(ca_file=authority.trust)
    put(new.cert_file, live.cert_file)
    clock.pass_by()
    assert shake(client, server).shown == "old"
    put(new.key_file, live.key_file)
    assert shake(client, server).shown == "old"
    clock.pass_by()
    assert shake(client, server).shown == "new"


@pytest.mark.parametrize("broken", [None, b"", b"-----BEGIN CERTIFICATE-----\nMIIB"])
def test_what_cannot_be_used_is_told_once_and_the_old_goes_on(
    authority: Authority, clock: Clock, broken: bytes | None
) -> None:
    live = authority.issue("old")
    server = server_context(**live._asdict(), clock=clock)
    client = client_context(ca_file=authority.trust)
    if broken is None:
        live.cert_file.unlink()
    else:
        live.cert_file.write_bytes(broken)
    with capture_logs() as logged:
        for _ in range(3):
            clock.pass_by()
            assert shake(client, server).shown == "old"
    [line] = logged
    assert (line["event"], line["log_level"]) == ("tls_files_refused", "error")
    assert str(live.cert_file) in line["error"]
    assert "must be PEM" in line["remedy"]
    new = authority.issue("new")
    put(new.key_file, live.key_file)
    put(new.cert_file, live.cert_file)
    clock.pass_by()
    assert shake(client, server).shown == "new"


def test_what_is_mended_without_a_change_of_its_own_is_read_at_the_next_look(
    authority: Authority, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a moment without free file descriptors."""
    live, new = authority.issue("old"), authority.issue("new")
    server = server_context(**live._asdict(), clock=clock)
    client = client_context(ca_file=authority.trust)
    put(new.cert_file, live.cert_file)
    put(new.key_file, live.key_file)
    clock.pass_by()
    with monkeypatch.context() as patched:

        def none_left(*given: object, **named: object) -> None:
            raise OSError(24, "Too many open files")

        patched.setattr(ssl.SSLContext, "load_cert_chain", none_left)
        assert shake(client, server).shown == "old"
    clock.pass_by()
    assert shake(client, server).shown == "new"


def test_kubernetes_way_of_replacing_a_secret_is_seen(
    authority: Authority, clock: Clock, tmp_path: Path
) -> None:
    """The files are links through `..data`, which is swapped for a link to another folder."""
    volume = tmp_path / "volume"
    volume.mkdir()

    def publish(version: str, identity: Identity) -> None:
        (volume / version).mkdir()
        shutil.copy(identity.cert_file, volume / version / "tls.crt")
        shutil.copy(identity.key_file, volume / version / "tls.key")
        (volume / "..data_tmp").symlink_to(version)
        (volume / "..data_tmp").replace(volume / "..data")

    publish("..1", authority.issue("old"))
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    server = server_context(cert_file=volume / "tls.crt", key_file=volume / "tls.key", clock=clock)
    client = client_context(ca_file=authority.trust)
    assert shake(client, server).shown == "old"
    publish("..2", authority.issue("new"))
    shutil.rmtree(volume / "..1")
    clock.pass_by()
    assert shake(client, server).shown == "new"


def test_sockets_that_are_wrapped_one_by_one_follow_too(authority: Authority, clock: Clock) -> None:
    live, new = authority.issue("old"), authority.issue("new")
    server = server_context(**live._asdict(), clock=clock)
    client = client_context(ca_file=authority.trust)

    def shown() -> object:
        here, there = socket.socketpair()
        with ThreadPoolExecutor(1) as other, here, there:
            accepted = other.submit(server.wrap_socket, there, server_side=True)
            with client.wrap_socket(here, server_hostname="localhost") as wrapped, accepted.result(10):
                return wrapped.getpeercert()

    before = shown()
    put(new.cert_file, live.cert_file)
    put(new.key_file, live.key_file)
    clock.pass_by()
    assert shown() != before
