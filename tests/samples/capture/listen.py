"""Stands in for Segment's endpoint and for a customer's site: records every request as a line of JSON.

    python tests/samples/capture/listen.py PORT RECORDING.ndjson [FOLDER_OF_THE_BROWSER_SDK]

POSTs are recorded, they and preflights answered 200. GETs serve `page.html` of this folder, the browser
SDK's files under /sdk/, and a page that clicks through to it, so that the browser has a referrer. Hosts that
start with `copy.` are the scraped copy: the same page, which still names the original in its canonical link.
"""

import gzip
import http.server
import json
import sys
from pathlib import Path
from typing import BinaryIO

HERE = Path(__file__).parent
CANONICAL = b'<link rel="canonical" href="https://shop.example/p/blue-mug">'
CLICK = b"<script>location.href = '/p/blue-mug?utm_source=news&utm_campaign=autumn&gclid=abc'</script>"


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recording: BinaryIO
    sdk: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        line = {"path": self.path, "headers": dict(self.headers), "body": body.decode()}
        self.recording.write(json.dumps(line).encode() + b"\n")
        self._answer("application/json", b'{"success":true}')

    def do_OPTIONS(self) -> None:
        self._answer("text/plain", b"")

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/sdk/"):
            self._answer("text/javascript", (self.sdk / Path(path).name).read_bytes())
        elif path == "/list":
            self._answer("text/html", CLICK)
        elif path.startswith("/p/"):
            page = (HERE / "page.html").read_bytes()
            copied = self.headers.get("host", "").startswith("copy.")
            self._answer(
                "text/html; charset=utf-8", page.replace(b"<!--canonical-->", CANONICAL if copied else b"")
            )
        else:
            self._answer("application/json", b"{}")

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("access-control-allow-origin", self.headers.get("origin") or "*")
        self.send_header("access-control-allow-headers", "authorization, content-type")
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the recording says it all."""


def main(port: str, recording: str, sdk: str = ".") -> None:
    with Path(recording).open("ab", buffering=0) as out:
        Recorder.recording, Recorder.sdk = out, Path(sdk)
        http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Recorder).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
