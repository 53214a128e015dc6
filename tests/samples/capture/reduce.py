"""Makes shapes.json of a recording: what the SDKs sent, with placeholders where values differ by call.

    python -m tests.samples.capture.reduce RECORDING.ndjson > workers/sample/shapes.json

A placeholder is `$name`; the field `$` stands for all fields that the caller gave beside the SDK's own. The
capture scripts put a known value into everything that they control, so that it can be told here; the rest
(ids, times, versions of the machine) goes by the field that it stands in.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLANTED: dict[str | int, str] = {
    "user-1": "$userId",
    "user-2": "$newUserId",
    "previous-1": "$previousId",
    "group-1": "$groupId",
    "Captured": "$event",
    "Category": "$category",
    "Name": "$name",
    "capture": "$writeKey",
    "192.0.2.1": "$ip",
    "capture/1": "$userAgent",
    **{
        f"{thing}-{what}": f"${thing}{what.title()}"
        for thing, whats in {
            "app": ("name", "version", "build", "namespace"),
            "device": ("id", "name", "type", "manufacturer", "model"),
            "os": ("name", "version"),
        }.items()
        for what in whats
    },
    "locale-1": "$locale",
    "timezone-1": "$timezone",
    1001: "$screenWidth",
    1002: "$screenHeight",
    1003: "$screenDensity",
}
BY_FIELD = {
    "anonymousId": "$anonymousId",
    "instanceId": "$instanceId",
    "sentAt": "$sentAt",
    "path": "$path",
    "referrer": "$referrer",
    "search": "$search",
    "title": "$title",
    "url": "$url",
    "campaign": "$campaign",
    "userAgent": "$userAgent",
    "userAgentData": "$userAgentData",
    "locale": "$locale",
    "timezone": "$timezone",
    "nodeVersion": "$nodeVersion",
    "cellular": "$cellular",
    "wifi": "$wifi",
}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
OFFSET = re.compile(r"\.\d{3}\+00:00\Z")
SDKS = {  # by the library name that a call carries: package, what kind of source sends it
    "analytics.js": ("@segment/analytics-next", "browser"),
    "@segment/analytics-node": ("@segment/analytics-node", "server"),
    "analytics-python": ("segment-analytics-python", "server"),
    "analytics-react-native": ("@segment/analytics-react-native", "mobile"),
}


def reduced(value: Any, field: str = "") -> Any:  # noqa: PLR0911 - one return a case
    """`value` of `field` with placeholders, recursively. A null stays a null: SDKs differ in sending it."""
    if value is None:
        return None
    if value == {"captured": True}:
        return f"${field}"
    if isinstance(value, dict) and "captured" in value:  # the SDK added fields of its own to the caller's
        own = {name: reduced(inner, name) for name, inner in value.items() if name != "captured"}
        return {"$": f"${field}", **own}
    if field in BY_FIELD:
        return BY_FIELD[field]
    if field == "messageId":
        return UUID.sub("$uuid", re.sub(r"-\d{13}-", "-$ms-", value))
    if field == "timestamp":
        return "$timestampOffset" if OFFSET.search(value) else "$timestamp"
    if isinstance(value, dict):
        return {name: reduced(inner, name) for name, inner in value.items()}
    if isinstance(value, str | int) and not isinstance(value, bool):
        return PLANTED.get(value, value)
    return value


def kind_of(call: dict[str, Any]) -> str:
    """`track`, `page`, …; apart from them a call of somebody unknown, and one with a context of its own."""
    if call["type"] == "track" and call.get("userId") is None:
        return "track_unknown_user"
    return f"{call['type']}{'_with_context' if 'ip' in call['context'] else ''}"


def calls_of(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    body = json.loads(request["body"])
    yield from body.get("batch", [body])


def main(recording: str) -> None:
    shapes: dict[str, Any] = {}
    shadow: dict[str, str] = {}
    for line in Path(recording).read_text().splitlines():
        request = json.loads(line)
        headers = {name.lower(): value for name, value in request["headers"].items()}
        for call in calls_of(request):
            library = call["context"]["library"]
            package, source = SDKS[library["name"]]
            if "//copy." in headers.get("origin", ""):
                claim = call["context"]["page"]
                shadow = {"origin": headers["origin"], "url": claim["url"], "referrer": claim["referrer"]}
                continue
            shape = shapes.setdefault(
                package,
                {
                    "library": library,
                    "source": source,
                    "contentType": headers["content-type"],
                    "spaced": '": ' in request["body"],  # JSON with a space after colons and commas
                    "batched": "batch" in json.loads(request["body"]),
                    "originSent": "origin" in headers,
                    "refererSent": "referer" in headers,
                    "userAgent": "$userAgent" if source == "browser" else headers["user-agent"],
                    "calls": {},
                },
            )
            shape["calls"].setdefault(kind_of(call), reduced(call))
    print(json.dumps({"sdks": shapes, "canonicalShadow": shadow}, indent=1, sort_keys=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
