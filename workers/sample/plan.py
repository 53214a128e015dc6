"""What is planted in the sample: the traffic of each write key, where visits happen, what becomes of it."""

from typing import NamedTuple

from workers.sample.sessions import MINUTE, Stage

DAY = 24 * 60 * MINUTE


class Kind(NamedTuple):
    """A write key to make, the traffic on it, and what becomes of that."""

    workspace: str
    source: str
    sessions: int
    state: str = "active"
    reason: str = ""
    until_after: int | None = None
    disposition: str = "accepted"
    rule: str = "accepted"


KEYS = (
    Kind("mugshop", "web", 55),
    Kind("mugshop", "web", 10, "retiring", "rotated; pages in caches still have it", 7 * DAY),
    Kind("mugshop", "warehouse", 560),
    Kind(
        "mugshop", "warehouse", 70, "revoked", "found in a public repository", None, "rejected", "revoked_key"
    ),
    Kind("morning-post", "site", 55),
    Kind("morning-post", "site", 14, "abused", "a botnet posts with it", None, "rejected", "abused_key"),
    Kind("morning-post", "newsletter", 560),
    Kind("tally-ho", "app", 25),
    Kind("tally-ho", "app", 20, "active", "the one that is revoked while records flow"),
    Kind("tally-ho", "landing", 20),
    Kind("tally-ho", "api", 420),
    Kind("tally-ho", "api", 45, "retiring", "rotated; its overlap is over", 0, "rejected", "expired_key"),
    Kind("mugquest", "ios", 50),
    Kind("mugquest", "android", 50),
    Kind("mugquest", "matchmaker", 300),
    Kind("bygone", "backend", 25, "active", "", None, "rejected", "closed_workspace"),
)
REVOKED_DURING = KEYS[8]
UNKNOWN_KEYS = 24

# (workspace, source, visits, where they happen, the rule that must see it, None: nothing is against it)
STAGES: tuple[tuple[str, str, int, Stage, str | None], ...] = (
    # scraped copies. Canonical shadow: the copied canonical link claims the customer's own host.
    (
        "mugshop",
        "web",
        14,
        Stage("https://mugs-outlet.example", "https://www.mugshop.example"),
        "canonical_shadow",
    ),
    ("mugshop", "web", 6, Stage("https://mugshop.example.net", None), "foreign_origin"),
    ("mugshop", "web", 3, Stage("https://www.rnugshop.example", None), "foreign_origin"),
    (
        "morning-post",
        "site",
        7,
        Stage("https://evilpost.example", "https://www.post.example"),
        "canonical_shadow",
    ),
    ("tally-ho", "landing", 4, Stage("https://tally-landing.example.org", None), "foreign_origin"),
    # harmless re-hosts, which look just like it until they are decoded. What a browser sends from an archive
    # does not say whose page it is, where the page names its canonical address
    ("morning-post", "site", 5, Stage("https://www-post-example.translate.goog", None), "rehosted"),
    (
        "morning-post",
        "site",
        2,
        Stage("https://web.archive.org", "https://www.post.example"),
        "foreign_origin",
    ),
    ("mugshop", "web", 2, Stage("https://www-mugshop-example.translate.goog", None), "rehosted"),
    # no Origin: old browsers, and forgers outside a browser
    ("mugshop", "web", 3, Stage(None, "https://mugs-outlet.example", referer=False), "foreign_claim"),
    ("tally-ho", "app", 3, Stage(None, "https://app.tally.example", referer=False), None),
    # a sandboxed frame
    ("morning-post", "site", 3, Stage("null", "https://www.post.example"), "null_origin"),
    # a port, a trailing dot, user-info and capitals change nothing
    ("mugshop", "web", 2, Stage("https://WWW.Mugshop.example.:8443", None), None),
    # a page opened from a disk has no origin, which is no mismatch
    ("tally-ho", "app", 2, Stage("file://", "file:///C:/Users/sam/tally"), None),
)
