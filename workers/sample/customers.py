"""Who sends in the sample: four customers with their sites, servers and apps, and a closed account.

All hosts end in `.example` (RFC 2606), all addresses are of the documentation ranges (RFC 5737, RFC 3849).
"""
# ruff: noqa: RUF001 - titles are as people write them

from typing import NamedTuple

WEB = "@segment/analytics-next"
NODE = "@segment/analytics-node"
PYTHON = "segment-analytics-python"
NATIVE = "@segment/analytics-react-native"


class Page(NamedTuple):
    path: str
    title: str
    category: str


class Source(NamedTuple):
    id: str
    type: str  # browser, server, mobile
    sdk: str
    hosts: tuple[str, ...] = ()  # where its pages stand
    pages: tuple[Page, ...] = ()
    events: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()  # in addition to the workspace's


class Customer(NamedTuple):
    id: str
    plan: str
    retention_days: int | None
    allowed_origins: tuple[str, ...]
    sources: tuple[Source, ...]
    state: str = "open"


SHOP = Customer(
    "mugshop",
    "standard",
    395,
    ("[*.]mugshop.example",),
    (
        Source(
            "web",
            "browser",
            WEB,
            ("www.mugshop.example", "mugshop.example"),
            (
                Page("/", "Mugs for every morning – Mugshop", "Home"),
                Page("/c/stoneware", "Stoneware mugs – Mugshop", "Category"),
                Page("/c/enamel", "Enamel mugs – Mugshop", "Category"),
                Page("/p/blue-mug", "Blue mug, 350 ml – Mugshop", "Product"),
                Page("/p/café-crème", "Tasse « Café crème » – Mugshop", "Product"),
                Page("/p/yunomi-tea-cup", "湯のみ Yunomi tea cup – Mugshop", "Product"),
                Page("/cart", "Your basket – Mugshop", "Checkout"),
                Page("/checkout", "Checkout – Mugshop", "Checkout"),
            ),
            ("Product Viewed", "Product Added", "Checkout Started", "Order Completed", "Promotion Clicked"),
        ),
        Source(
            "warehouse",
            "server",
            PYTHON,
            events=("Order Packed", "Order Shipped", "Refund Issued", "Stock Adjusted"),
        ),
    ),
)
NEWS = Customer(
    "morning-post",
    "enterprise",
    90,
    ("[*.]post.example", "bücher.example"),
    (
        Source(
            "site",
            "browser",
            WEB,
            ("www.post.example", "m.post.example", "xn--bcher-kva.example"),
            (
                Page("/", "The Morning Post", "Front page"),
                Page("/2026/11/harbour-reopens-after-storm", "Harbour reopens after storm", "News"),
                Page("/2026/11/council-votes-on-tram-line", "Council votes on tram line 7", "News"),
                Page("/live/election-night", "Live 🔴 Election night: results as they come in", "Live"),
                Page("/kultur/bücher/herbst", "Die schönsten Bücher des Herbstes", "Culture"),
                Page("/opinion/why-we-still-print", "Why we still print – Opinion", "Opinion"),
                Page("/sport/عاجل-كأس", "عاجل: نتائج كأس المدينة", "Sport"),
                Page("/subscribe", "Subscribe to the Post", "Subscription"),
            ),
            ("Article Read", "Video Played", "Newsletter Opened", "Paywall Shown", "Share Clicked"),
        ),
        Source(
            "newsletter",
            "server",
            NODE,
            events=("Email Delivered", "Email Opened", "Email Link Clicked", "Email Bounced"),
        ),
    ),
)
SAAS = Customer(
    "tally-ho",
    "enterprise",
    730,
    ("app.tally.example", "www.tally.example"),
    (
        Source(
            "app",
            "browser",
            WEB,
            ("app.tally.example",),
            (
                Page("/login", "Log in · Tally", "Account"),
                Page("/boards", "Boards · Tally", "Boards"),
                Page("/boards/7f3a/invoices", "Invoices · Tally", "Boards"),
                Page("/reports/quarter", "Quarterly report · Tally", "Reports"),
                Page("/settings/team", "Team · Tally", "Settings"),
            ),
            ("Invoice Created", "Report Exported", "Member Invited", "Board Archived", "Shortcut Used"),
        ),
        Source(
            "landing",
            "browser",
            WEB,
            ("www.tally.example", "try.tally-landing.example"),
            (
                Page("/", "Tally: invoices that add up", "Home"),
                Page("/pricing", "Pricing · Tally", "Pricing"),
                Page("/de/preise", "Preise · Tally – Rechnungen, die aufgehen", "Pricing"),
            ),
            ("Signup Started", "Plan Compared", "Demo Requested"),
            allowed_origins=("*.tally-landing.example",),
        ),
        Source(
            "api",
            "server",
            NODE,
            events=("Invoice Paid", "Webhook Delivered", "Subscription Renewed", "Seat Added"),
        ),
    ),
)
GAME = Customer(
    "mugquest",
    "standard",
    30,
    (),
    (
        Source(
            "ios", "mobile", NATIVE, events=("Level Completed", "Item Crafted", "Ad Watched", "Boss Defeated")
        ),
        Source(
            "android",
            "mobile",
            NATIVE,
            events=("Level Completed", "Item Crafted", "Ad Watched", "Purchase Made"),
        ),
        Source("matchmaker", "server", PYTHON, events=("Match Started", "Match Ended", "Player Reported")),
    ),
)
CLOSED = Customer(
    "bygone",
    "standard",
    30,
    (),
    (Source("backend", "server", PYTHON, events=("Cron Finished", "Order Shipped")),),
    state="closed",
)
CUSTOMERS = (SHOP, NEWS, SAAS, GAME, CLOSED)
