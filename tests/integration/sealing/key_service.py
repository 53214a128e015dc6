"""A key service for the tests, in AWS KMS's protocol: enough of it for Amazon's clients to seal and open."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from workers.sealing.keys import Level, Unit, WrappingKey, new_key
from workers.sealing.refusals import Refused


class KeyService:
    """Wraps and unwraps data keys of one unit, as Strongroom does, and writes down what it was asked."""

    def __init__(self, unit: Unit, key: bytes) -> None:
        self._wrapping = WrappingKey(key, Level.DATA, workspace=unit.workspace, day=unit.day, generation=1)
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, operation: str, request: dict[str, object]) -> dict[str, object] | None:
        """None for refused."""
        context = request["EncryptionContext"]
        assert isinstance(context, dict)
        self.asked.append((operation, context))
        if operation == "GenerateDataKey":
            plain = new_key()
            blob = self._wrapping.wrap(plain, context)
        else:
            blob = b64decode(str(request["CiphertextBlob"]))
            try:
                plain = self._wrapping.unwrap(blob, context)
            except Refused:
                return None
        return {
            "KeyId": request["KeyId"],
            "Plaintext": b64encode(plain).decode(),
            "CiphertextBlob": b64encode(blob).decode(),
        }


@contextmanager
def serving(service: KeyService) -> Iterator[str]:
    """Its endpoint, on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].removeprefix("TrentService.")
            answer = service.answer(operation, request)
            body = json.dumps(answer or {"__type": "InvalidCiphertextException", "message": ""}).encode()
            self.send_response(400 if answer is None else 200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
