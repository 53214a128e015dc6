"""A TLS handshake between two contexts, in memory."""

import ssl
from typing import Any, NamedTuple


class Shaken(NamedTuple):
    """Both ends once the handshake is done."""

    client: ssl.SSLObject
    server: ssl.SSLObject

    @property
    def shown(self) -> Any:
        """The common name in the server's certificate, as the client got it."""
        return _common_name(self.client)

    @property
    def client_shown(self) -> Any:
        """That in the client's."""
        return _common_name(self.server)

    def carries(self, data: bytes) -> bool:
        """Whether `data` gets from the client to the server, and back."""
        self.client.write(data)
        self.server.write(self.server.read())
        return self.client.read() == data


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> Shaken:
    """Raises the ssl.SSLError of the end that refuses first."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    waiting = list(ends)
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
    return Shaken(*ends)


def _common_name(end: ssl.SSLObject) -> Any:
    certificate: Any = end.getpeercert()
    return dict(part[0] for part in certificate["subject"])["commonName"]
