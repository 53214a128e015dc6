"""TLS of every connection (docs/architecture.md, In transit): 1.2+, ECDHE with AES-GCM, names verified.

Clear text stays on this machine, unless a person allows more. Contexts follow their files (tls_rotation.py).
"""

import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from workers.errors import Fatal
from workers.tls_rotation import Clock, RotatingContext

CIPHERS = "ECDHE+AESGCM"  # what is left for TLS 1.2; 1.3 has none but good ones


def is_here(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_context(
    *,
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    clock: Clock = time.monotonic,
) -> ssl.SSLContext:
    """Trusts the system's authorities, or those in `ca_file`; shows `cert_file` where the server asks.

    The system's authorities are read once, the files again when they change. `clock`: seconds.
    Raises Fatal for a file that can't be used.
    """

    def fill(context: ssl.SSLContext) -> None:
        _harden(context)
        if ca_file is None:
            context.load_default_certs()
        else:
            _trust(context, ca_file)
        if cert_file is not None:
            _identify(context, cert_file, key_file)

    # verifies names and chains
    return RotatingContext(ssl.PROTOCOL_TLS_CLIENT, fill, (ca_file, cert_file, key_file), clock)


def server_context(
    *,
    cert_file: Path,
    key_file: Path,
    client_ca_file: Path | None = None,
    clock: Clock = time.monotonic,
) -> ssl.SSLContext:
    """Shows `cert_file` (the chain, the server's own certificate first). With `client_ca_file` it serves only
    those who show a certificate of one of these authorities.

    The files are read again when they change. `clock`: seconds. Raises Fatal for a file that can't be used.
    """

    def fill(context: ssl.SSLContext) -> None:
        _harden(context)
        _identify(context, cert_file, key_file)
        if client_ca_file is not None:
            _trust(context, client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED

    return RotatingContext(ssl.PROTOCOL_TLS_SERVER, fill, (cert_file, key_file, client_ca_file), clock)


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # compression tells of secrets by lengths (CRIME); renegotiation costs a server more than its caller
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _trust(context: ssl.SSLContext, ca_file: Path) -> None:
    with _usable(ca_file):
        context.load_verify_locations(cafile=ca_file)


def _identify(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    with _usable(cert_file):
        # a password would be asked for on the terminal: an encrypted key is refused instead
        context.load_cert_chain(cert_file, key_file, password=_no_password)


@contextmanager
def _usable(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Fatal(
            f"TLS file {file} can't be used: {error}",
            remedy="It must be PEM, readable, its key not encrypted and its own",
        ) from None


def _no_password() -> str:
    raise ValueError("its key is encrypted")
