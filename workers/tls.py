"""TLS of every connection (docs/architecture.md, In transit): 1.2+, ECDHE with AES-GCM, names verified.

Clear text stays on this machine, unless a person allows more.
"""

import ssl
from ipaddress import ip_address
from pathlib import Path

from workers.errors import Fatal

CIPHERS = "ECDHE+AESGCM"  # what is left for TLS 1.2; 1.3 has none but good ones


def is_here(host: str) -> bool:
    """Whether a host, by name or address, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_context(
    *, ca_file: Path | None = None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Trusts the system's authorities, or those in `ca_file`; shows `cert_file` where the server asks.

    Raises Fatal for a file that can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies names and chains
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    using = ca_file
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca_file)
        if cert_file is not None:
            using = cert_file
            # a password would be asked for on the terminal: an encrypted key is refused instead
            context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Fatal(
            f"TLS file {using} can't be used: {error}",
            remedy="It must be PEM, readable, its key not encrypted and its own",
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("its key is encrypted")
