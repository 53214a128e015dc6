"""A gate between a worker and its S3: passes requests on, but holds PUTs under a prefix while it is shut.

What waits when the gate is taken down never gets through. It can also refuse, as a server or its policy does.
"""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Refusal(NamedTuple):
    """Of requests whose path or query has `text`; `method` None: of all."""

    text: str
    status: int
    code: str
    method: str | None = None


class Gate:
    """`endpoint` is what the worker is given; `arrived` is set once a PUT waits at the shut gate."""

    def __init__(self, server: str, prefix: str) -> None:
        self.server = urlsplit(server)
        self.prefix = prefix
        self.endpoint = ""
        self.arrived = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.down = False
        self.seen: Counter[tuple[str, str]] = Counter()  # requests by method and path, as they came
        self.refusal: Refusal | None = None
        self.refused = 0

    def shut(self) -> None:
        self.arrived.clear()
        self.open.clear()

    def refuses(self, method: str, path: str) -> Refusal | None:
        refusal = self.refusal
        if refusal is None or refusal.text not in unquote(path) or refusal.method not in (None, method):
            return None
        self.refused += 1
        return refusal

    def holds(self, method: str, path: str) -> bool:
        return method == "PUT" and f"/{self.prefix}" in unquote(path) and not self.open.is_set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client is gone
            self.close_connection = True

    def _pass(self) -> None:
        gate, body = self.gate, self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gate.seen[self.command, self.path] += 1
        if (refusal := gate.refuses(self.command, self.path)) is not None:
            self._refuse(refusal)
            return
        if gate.holds(self.command, self.path):
            gate.arrived.set()
            gate.open.wait()
            if gate.down:
                self.close_connection = True
                return
        upstream = http.client.HTTPConnection(gate.server.netloc, timeout=60)
        # the Host header is part of the signature: it goes on as it came
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                upstream.putheader(name, value)
        upstream.putheader("Content-Length", str(len(body)))
        upstream.endheaders(body)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    def _refuse(self, refusal: Refusal) -> None:
        content = f"<Error><Code>{refusal.code}</Code><Message>refused here</Message></Error>".encode()
        self.send_response_only(refusal.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that was killed breaks its connections: that is what it is killed for."""


@contextmanager
def gate_before(server: str, prefix: str) -> Iterator[Gate]:
    gate = Gate(server, prefix)
    httpd = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": gate}))
    gate.endpoint = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        gate.down = True
        gate.open.set()
        httpd.shutdown()
        thread.join()
