"""Whether a host's name is made to be taken for another: two edits, letters that look alike, the brand in it.

Names are compared by the label that its owner chose: `shop` of www.shop.example (Public Suffix List).
"""

import re
import unicodedata
from collections.abc import Iterable

from workers.origins.hosts import is_address, public_suffix, registrable_domain

EDITS = 2
TWO_EDITS_FROM = 6  # letters of the label: two edits make any word of four into another
BRAND_FROM = 5  # letters: shorter ones are in other words by chance
LOCAL = (
    "localhost",
    "local",
    "test",
    "internal",
    "home.arpa",
)  # RFC 6761, 6762, 8375; ICANN 2024 (.internal)
_PRIVATE = re.compile(r"(10|127)\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.")

# Unicode's confusables (UTS 39) for the letters of host names, as far as NFKD does not tell them
_CYRILLIC = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb", "aeopcyxijsdqwh"
)
_GREEK = str.maketrans("\u0261\u03bf\u03b1\u03bd\u03c5\u03c1\u03c4\u03ba\u03b9\u03b2", "goavuptkib")
_LATIN = str.maketrans("01358l|\u0131\u0142", "oiesbiiil")
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))


def is_local(host: str) -> bool:
    """A developer's machine or a private network: addresses and names that nobody else can reach."""
    if host.startswith("["):
        return re.match(r"\[(::1\]|f[cd]|fe[89ab])", host) is not None
    if is_address(host):
        return _PRIVATE.match(host) is not None
    return host.rpartition(".")[2] in LOCAL or host.endswith(".home.arpa") or "." not in host


def rewrites(host: str, own: Iterable[str]) -> bool:
    """Whether `host` is a whole host of `own` and more behind it: how proxies write it.

    `www.shop.example.proxy.college.edu`, or `www-shop-example.proxy.college.edu`.
    """
    first = host.partition(".")[0]
    return any(
        host.startswith(f"{name}.")
        or first in (name.replace(".", "-"), name.replace("-", "--").replace(".", "-"))
        for name in own
    )


def looks_like(host: str, own: Iterable[str]) -> bool:
    """Whether `host` resembles one of `own` hosts, and is not under a domain of theirs."""
    if is_address(host):
        return False
    labels = host[: -len(public_suffix(host)) - 1].split(".")
    domains = {domain for name in own if (domain := registrable_domain(name)) is not None}
    if registrable_domain(host) in domains:
        return False
    label = labels[-1]
    for brand in sorted({domain.partition(".")[0] for domain in domains}):
        if _alike(label, brand) or (len(brand) >= BRAND_FROM and any(brand in part for part in labels)):
            return True
    return False


def _alike(label: str, brand: str) -> bool:
    if len(brand) < 4:  # such a name is a few letters from everything
        return label == brand
    allowed = EDITS if len(brand) >= TWO_EDITS_FROM else 1
    return within(skeleton(label), skeleton(brand), allowed) or within(label, brand, allowed)


def skeleton(label: str) -> str:
    """What a label looks like: the same for `shop`, `sh0p`, and `shop` with a Greek omicron."""
    if label.startswith("xn--"):
        try:
            label = label.removeprefix("xn--").encode().decode("punycode")
        except UnicodeError:
            return label
    plain = (
        "".join(
            letter
            for letter in unicodedata.normalize("NFKD", label.casefold())
            if not unicodedata.combining(letter)
        )
        .translate(_CYRILLIC)
        .translate(_GREEK)
        .translate(_LATIN)
    )
    for pair, letter in _PAIRS:
        plain = plain.replace(pair, letter)
    return plain.replace("-", "")


def within(one: str, other: str, edits: int) -> bool:
    """Whether `edits` changes of a letter, or swaps of two neighbours, make one of the other."""
    if abs(len(one) - len(other)) > edits:
        return False
    before_last: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
        before_last, last = last, row
    return last[-1] <= edits
