"""The web that the browser sees: a shop, two scraped copies of it, Segment's CDN, and a collector.

The pages load the SDK from `cdn.segment.com` and it posts to `api.segment.io`, as it does by default: the
browser finds all of these hosts at this server.
"""

import json
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from confluent_kafka import Producer

from topics.times import iso_ms
from workers.roles.process import now

KEY = "shop-web-key-0001"
OWN = "www.shop.example"
WITH_CANONICAL, WITHOUT = "mug-outlet.example", "cups-for-less.example"
COPIES = (WITH_CANONICAL, WITHOUT)
PAGES = 14
TRACKED = 3  # calls beside `page`, on the shop's own pages: its customers do more than look

PAGE = """<!doctype html>
<html><head><title>Mug {number} - Shop</title>{canonical}
<script src="https://cdn.segment.com/analytics-next/bundles/index.js"></script>
<script>
  const analytics = AnalyticsNext.AnalyticsBrowser.load({{ writeKey: '{key}' }})
  window.told = (async () => {{
    await analytics.page()
    for (let n = 0; n < {tracked}; n++) await analytics.track('Mug Turned', {{ times: n }})
    return true
  }})()
</script></head>
<body><a id="next" href="/p/{following}">the next mug</a></body></html>
"""
CANONICAL = '<link rel="canonical" href="https://www.shop.example/p/{number}">'


class Call(NamedTuple):
    """One call of the SDK, as it came."""

    phase: str
    host: str  # by the browser's Origin
    message: str
    line: bytes  # its envelope


class Web:
    """`ip` and `phase` are the test's to set: whose visit it is, as a load balancer says, and when."""

    def __init__(self, sdk: Path, bootstrap: str, topic: str) -> None:
        self._sdk = sdk
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 2})
        self._topic = topic
        self._failures: list[str] = []
        self.ip = ""
        self.phase = ""
        self.calls: list[Call] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.host == "api.segment.io":
            return await self._collect(request)
        if request.host == "cdn.segment.com":
            return self._cdn(request)
        if request.path.startswith("/p/"):
            return web.Response(text=_page(request.host, int(request.path[3:])), content_type="text/html")
        return web.Response(status=404)

    def flush(self) -> None:
        """Until Kafka has acknowledged everything."""
        self._producer.flush(60)
        assert not self._failures, self._failures[:3]

    def ids(self, phase: str, *hosts: str) -> set[str]:
        return {call.message for call in self.calls if call.phase == phase and call.host in hosts}

    async def _collect(self, request: web.Request) -> web.StreamResponse:
        """Of a call an envelope in raw-events, keyed by the write key: as the README says."""
        if request.method == "POST" and request.path != "/v1/m":  # there the SDK tells Segment how it fares
            event = await request.json()
            headers = {"origin": "Origin", "referer": "Referer", "userAgent": "User-Agent"}
            envelope = {
                "v": 1,
                "writeKey": event["writeKey"],
                "receivedAt": iso_ms(now()),
                "ip": self.ip,
                **{name: request.headers[header] for name, header in headers.items()},
                "event": event,
            }
            line = json.dumps(envelope).encode()
            host = urlsplit(envelope["origin"]).hostname or ""
            self.calls.append(Call(self.phase, host, event["messageId"], line))
            self._producer.produce(self._topic, line, event["writeKey"], on_delivery=self._acknowledged)
            self._producer.poll(0)
        return web.json_response({"success": True}, headers=CORS)

    def _acknowledged(self, error: object, message: object) -> None:
        if error is not None:
            self._failures.append(str(error))

    def _cdn(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/settings"):
            settings = {"integrations": {"Segment.io": {"apiKey": KEY}}}
            return web.json_response(settings, headers=CORS)
        file = self._sdk / Path(request.path).name
        if not file.is_file():
            return web.Response(status=404)
        return web.Response(body=file.read_bytes(), content_type="text/javascript", headers=CORS)


CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "authorization, content-type"}


def _page(host: str, number: int) -> str:
    """A page of the shop; of a copy as it was scraped, of which one lost the canonical link on the way."""
    return PAGE.format(
        number=number,
        canonical="" if host == WITHOUT else CANONICAL.format(number=number),
        key=KEY,
        tracked=TRACKED if host == OWN else 0,
        following=(number + 1) % PAGES,
    )
