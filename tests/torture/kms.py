"""A key service in AWS KMS's protocol that unwraps data keys as docs/format.md says, without the program.

Amazon's client asks it for the data key of each object, and does everything else itself.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cryptography.exceptions import InvalidTag

from tests.system.reader import Reader


@contextmanager
def key_service(reader: Reader) -> Iterator[str]:
    """Its endpoint, on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            blob = b64decode(request["CiphertextBlob"])
            try:
                key = reader.data_key(blob, request["EncryptionContext"])
                answer = {"KeyId": request["KeyId"], "Plaintext": b64encode(key).decode()}
            except InvalidTag:
                answer = {"__type": "InvalidCiphertextException", "message": ""}
            body = json.dumps(answer).encode()
            self.send_response(200 if "Plaintext" in answer else 400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
