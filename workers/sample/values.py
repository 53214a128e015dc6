"""Values that look like those of production: ids, times, addresses, browsers, phones, properties."""
# ruff: noqa: RUF001 - names are as people write them

from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
REFERRERS = (
    "",
    "",
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://www.bing.com/",
    "https://social.example/",
    "android-app://com.google.android.gm/",
)
CAMPAIGNS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"source": "newsletter", "medium": "email", "name": "autumn"},
    {"source": "google", "medium": "cpc", "name": "brand", "term": "mugs"},
)
TIMEZONES = (
    ("Europe/Vienna", "de-AT"),
    ("America/New_York", "en-US"),
    ("Asia/Tokyo", "ja-JP"),
    ("America/Sao_Paulo", "pt-BR"),
    ("Africa/Cairo", "ar-EG"),
    ("Europe/Paris", "fr-FR"),
)


class Browser(NamedTuple):
    user_agent: str
    user_agent_data: dict[str, Any] | None  # only Chromium has it


class Phone(NamedTuple):
    user_agent: str
    type: str
    manufacturer: str
    model: str
    name: str
    os: str
    os_version: str
    screen: tuple[int, int, float]


def _chromium(system: str, platform: str, mobile: bool, version: int, brand: str = "") -> Browser:
    agent = (
        f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 "
        f"{'Mobile ' if mobile else ''}Safari/537.36"
        f"{f' Edg/{version}.0.0.0' if brand == 'Microsoft Edge' else ''}"
    )
    brands = [
        {"brand": "Chromium", "version": str(version)},
        {"brand": "Not:A-Brand", "version": "8"},
        {"brand": brand or "Google Chrome", "version": str(version)},
    ]
    return Browser(agent, {"brands": brands, "mobile": mobile, "platform": platform})


BROWSERS = (
    _chromium("Windows NT 10.0; Win64; x64", "Windows", False, 142),
    _chromium("Windows NT 10.0; Win64; x64", "Windows", False, 142, "Microsoft Edge"),
    _chromium("Linux; Android 10; K", "Android", True, 141),
    _chromium("Macintosh; Intel Mac OS X 10_15_7", "macOS", False, 142),
    Browser("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", None),
    Browser("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", None),
    Browser(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.6 Mobile/15E148 Safari/604.1",
        None,
    ),
    Browser(
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.6 Safari/605.1.15",
        None,
    ),
)
IPHONES = (
    Phone(
        "MugQuest/321 CFNetwork/3826.600.41 Darwin/24.6.0",
        "ios",
        "Apple",
        "iPhone16,1",
        "iPhone",
        "iOS",
        "18.6",
        (393, 852, 3),
    ),
    Phone(
        "MugQuest/318 CFNetwork/3826.400.120 Darwin/24.3.0",
        "ios",
        "Apple",
        "iPad14,8",
        "iPad",
        "iPadOS",
        "18.3",
        (820, 1180, 2),
    ),
)
ANDROIDS = (
    Phone("okhttp/4.12.0", "android", "Google", "Pixel 9", "tokay", "Android", "15", (412, 923, 2.625)),
    Phone("okhttp/4.12.0", "android", "samsung", "SM-S921B", "e1s", "Android", "14", (360, 780, 3)),
)


def uuid(random: Random) -> str:
    """A version 4 UUID (RFC 9562)."""
    h = f"{random.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[random.getrandbits(2)]}{h[17:20]}-{h[20:]}"


def write_key(random: Random) -> str:
    """32 letters and digits, as Segment's are."""
    return "".join(random.choice(ALPHABET) for _ in range(32))


def address(random: Random) -> str:
    """An IPv4 or IPv6 address that nobody has: documentation ranges only."""
    if random.random() < 0.2:
        return f"2001:db8:{random.getrandbits(16):x}:{random.getrandbits(16):x}::{random.getrandbits(16):x}"
    return f"{random.choice(('192.0.2', '198.51.100', '203.0.113'))}.{random.randrange(1, 255)}"


def iso(ms: int) -> str:
    """`ms` since the epoch as JavaScript's toISOString writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def properties(random: Random, event: str) -> dict[str, Any]:
    """What a call of `event` says, by the words in its name."""
    if "Order" in event or "Refund" in event or "Purchase" in event:
        total = round(random.uniform(9, 180), 2)
        return {
            "orderId": f"o-{random.randrange(10**8):08d}",
            "total": total,
            "currency": random.choice(("EUR", "USD", "JPY")),
            "products": [
                {"sku": f"MUG-{random.randrange(1000):04d}", "quantity": random.randrange(1, 4)}
                for _ in range(random.randrange(1, 3))
            ],
        }
    if "Product" in event or "Promotion" in event or "Stock" in event:
        return {
            "sku": f"MUG-{random.randrange(1000):04d}",
            "name": random.choice(("Blue mug", "Tasse émaillée", "湯のみ", "Krug „Heidi“", "Чашка")),
            "price": round(random.uniform(5, 60), 2),
        }
    if "Email" in event or "Newsletter" in event:
        return {
            "list": random.choice(("morning", "weekend", "breaking")),
            "issue": random.randrange(400, 500),
        }
    if "Level" in event or "Boss" in event or "Match" in event or "Item" in event:
        return {
            "level": random.randrange(1, 80),
            "score": random.randrange(10**5),
            "combo": random.random() < 0.3,
        }
    if "Invoice" in event or "Subscription" in event or "Seat" in event:
        return {
            "invoice": f"INV-2026-{random.randrange(10**5):05d}",
            "amountCents": random.randrange(900, 90_000),
        }
    return {
        "label": random.choice(("header", "footer", "hero", "list", "été 2026", "🎉")),
        "ms": random.randrange(9000),
    }


def traits(random: Random, user: str) -> dict[str, Any]:
    name = random.choice(
        ("Zoë Müller", "Tanaka 太郎", "Ana María López", "Oluwaseun A.", "Нина К.", "Sam O'Neil")
    )
    return {"email": f"{user}@mail.example", "name": name, "plan": random.choice(("free", "pro", "team"))}
