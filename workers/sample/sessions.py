"""Visits, server jobs and play sessions: the ordinary traffic of a source, call by call, as envelopes.

Whoever copies a page gets visits too, so a visit takes the host that it really happens on (the witness: what
the browser puts into Origin and Referer) apart from the host that the page claims to stand on.
"""
# ruff: noqa: RUF001 - titles have dashes as people write them

import json
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

from workers.sample import shapes, values
from workers.sample.customers import NATIVE, NODE, Source
from workers.sample.shapes import ABSENT

MINUTE = 60_000


class Sent(NamedTuple):
    """One record on its way: when it is sent (ms), with which key, and the envelope's bytes."""

    at: int
    key: str
    value: bytes


class Stage(NamedTuple):
    """Where a visit happens, if not on the source's own host."""

    witness: str | None  # Origin; None: the browser sent none
    claim: str | None  # the origin in page.url; None: the witness (a page without a canonical link)
    referer: bool = True  # whether the collector saw a Referer


def envelope(key: str, received: int, call: bytes, **witnesses: str | None) -> bytes:
    """`call` as a collector would wrap it; witnesses that are None were not sent."""
    head = {
        "v": 1,
        "writeKey": key,
        "receivedAt": values.iso(received),
        **{name: value for name, value in witnesses.items() if value is not None},
    }
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    return text[:-1] + b',"event":' + call + b"}"


def visit(random: Random, source: Source, key: str, began: int, stage: Stage | None = None) -> Iterator[Sent]:
    """A person on a site: page views, now and then an action, at times a log-in."""
    sdk = shapes.sdk(source.sdk)
    origin = f"https://{random.choice(source.hosts)}"
    witness, claim = (stage.witness, stage.claim or stage.witness or origin) if stage else (origin, origin)
    browser, ip = random.choice(values.BROWSERS), values.address(random)
    timezone, locale = random.choice(values.TIMEZONES)
    anonymous, user = values.uuid(random), f"u-{random.randrange(10**6):06d}"
    known = random.random() < 0.25
    campaign = random.choice(values.CAMPAIGNS)
    referrer, at = random.choice(values.REFERRERS), began
    for step in range(random.randrange(2, 9)):
        page = random.choice(source.pages)
        search = "?" + "&".join(f"utm_{k}={v}" for k, v in campaign.items()) if campaign and not step else ""
        path = quote(page.path)  # a browser's location is percent-encoded
        where = {
            "path": path,
            "referrer": referrer,
            "search": search,
            "title": page.title,
            "url": claim + path + search,
        }
        common: dict[str, Any] = {
            **where,
            "userAgent": browser.user_agent,
            "userAgentData": browser.user_agent_data or ABSENT,
            "locale": locale,
            "timezone": timezone,
            "campaign": campaign if search else {},
            "anonymousId": anonymous,
            "userId": user,
            "writeKey": key,
            "category": page.category,
            "name": page.title.split(" – ")[0].split(" · ")[0],
            "groupId": f"g-{random.randrange(500):03d}",
        }
        for kind in _kinds(random, first=step == 0, known=known):
            event = random.choice(source.events)
            at += random.randrange(80, 2500)
            sent = at + random.randrange(2, 60)
            call = shapes.call(
                sdk,
                kind,
                {
                    **common,
                    "event": event,
                    "properties": values.properties(random, event),
                    "traits": values.traits(random, user),
                    **_stamps(random, at, sent),
                },
            )
            # A browser's default policy, strict-origin-when-cross-origin, cuts Referer down to the origin.
            referer = (
                f"{witness}/" if witness not in {None, "null"} and (stage is None or stage.referer) else None
            )
            yield Sent(
                sent + 20,
                key,
                envelope(
                    key, sent + 20, call, ip=ip, origin=witness, referer=referer, userAgent=browser.user_agent
                ),
            )
        # a page's script knows its true address; only the canonical link lies
        referrer = f"{witness or claim}{path}"
        at += random.randrange(1, 40) * 1000


def _kinds(random: Random, *, first: bool, known: bool) -> list[str]:
    kinds = (
        ["page"] if first else ["page", "track" if known else "track_unknown_user"][: random.randrange(1, 3)]
    )
    if first and known:
        kinds += ["identify"] + (["group"] if random.random() < 0.3 else [])
        kinds += ["alias"] if random.random() < 0.1 else []
    return kinds


def job(random: Random, source: Source, key: str, began: int) -> Iterator[Sent]:
    """A server that reports what happened, a few calls a user; the collector sees a server's address."""
    sdk = shapes.sdk(source.sdk)
    user, ip, at = f"u-{random.randrange(10**6):06d}", values.address(random), began
    for _ in range(random.randrange(1, 5)):
        kind = random.choices(("track", "identify", "page", "screen", "group", "alias"), (80, 7, 3, 2, 5, 3))[
            0
        ]
        if kind == "track" and source.sdk == NODE and random.random() < 0.3:
            kind = "track_with_context"
        event = random.choice(source.events)
        at += random.randrange(5, 900)
        received = at + random.randrange(100, 5000)  # batched on the server before they are sent
        call = shapes.call(
            sdk,
            kind,
            {
                "event": event,
                "properties": values.properties(random, event),
                "traits": values.traits(random, user),
                "userId": user,
                "previousId": values.uuid(random),
                "anonymousId": values.uuid(random),
                "groupId": f"g-{random.randrange(500):03d}",
                "category": "Back office",
                "name": event,
                "ip": values.address(random),
                "userAgent": random.choice(values.BROWSERS).user_agent,
                "nodeVersion": "v20.20.2",
                **_stamps(random, at, received),
            },
        )
        yield Sent(received, key, envelope(key, received, call, ip=ip, userAgent=sdk.user_agent))


def play(random: Random, source: Source, key: str, began: int) -> Iterator[Sent]:
    """Somebody plays on a phone; the app sends no Origin and no Referer."""
    sdk = shapes.sdk(NATIVE)
    phone = random.choice(values.IPHONES if source.id == "ios" else values.ANDROIDS)
    timezone, locale = random.choice(values.TIMEZONES)
    user, anonymous, ip, at = (
        f"p-{random.randrange(10**6):06d}",
        values.uuid(random),
        values.address(random),
        began,
    )
    known, wifi = random.random() < 0.6, random.random() < 0.7
    common: dict[str, Any] = {
        "appName": "Mug Quest",
        "appVersion": "3.2.1",
        "appBuild": "321",
        "appNamespace": "example.mugquest",
        "deviceId": values.uuid(random).upper(),
        "deviceName": phone.name,
        "deviceType": phone.type,
        "deviceManufacturer": phone.manufacturer,
        "deviceModel": phone.model,
        "osName": phone.os,
        "osVersion": phone.os_version,
        **dict(zip(("screenWidth", "screenHeight", "screenDensity"), phone.screen, strict=True)),
        "locale": locale,
        "timezone": timezone,
        "wifi": wifi,
        "cellular": not wifi,
        "instanceId": values.uuid(random),
        "anonymousId": anonymous,
        "userId": user,
        "newUserId": f"guild-{user}",
        "groupId": f"guild-{random.randrange(90):02d}",
    }
    calls = ["screen"] + (["identify"] if known else []) + ["track" if known else "track_unknown_user"] * 3
    for kind in [
        *calls,
        *(["group"] if random.random() < 0.2 else []),
        *(["alias"] if random.random() < 0.05 else []),
    ]:
        event = random.choice(source.events)
        at += random.randrange(500, 20_000)
        received = at + random.randrange(50, 30_000)  # the app flushes every 30 s
        call = shapes.call(
            sdk,
            kind,
            {
                **common,
                "event": event,
                "name": random.choice(("Map", "Shop", "Café 🍵", "鍛冶屋", "Settings")),
                "properties": values.properties(random, event),
                "traits": values.traits(random, user),
                **_stamps(random, at, received),
            },
        )
        yield Sent(received, key, envelope(key, received, call, ip=ip, userAgent=phone.user_agent))


def _stamps(random: Random, at: int, sent: int) -> dict[str, Any]:
    return {
        "timestamp": values.iso(at),
        "timestampOffset": values.iso(at).replace("Z", "+00:00"),
        "sentAt": values.iso(sent),
        "ms": at,
        "uuid": values.uuid(random),
    }


def ordinary(random: Random, source: Source, key: str, began: int) -> Iterator[Sent]:
    """A session of the kind that this source has."""
    return {"browser": visit, "server": job, "mobile": play}[source.type](random, source, key, began)
