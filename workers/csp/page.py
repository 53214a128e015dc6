"""Finds policies and the snippet in what was saved of a page: a response, headers, HTML, or a policy."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import NamedTuple

from workers.csp.needs import Snippet
from workers.csp.policy import Carrier, Policy, parse_header, parse_policy

ENFORCED = "content-security-policy"
REPORTED = "content-security-policy-report-only"
# what may stand in a head: anything else ends it, not its end tag (HTML, 13.2.6.4.4 and 13.2.6.4.6)
_IN_HEAD = frozenset(
    ["html", "head", "title", "meta", "link", "script", "style", "base", "noscript", "template"]
)
_OPAQUE = frozenset(["title", "style", "noscript", "template", "script"])
_SCRIPT_TYPE = re.compile(r"\A(?:|module|(?:application|text)/(?:x-)?(?:java|ecma)script)\Z", re.IGNORECASE)
_SNIPPET = re.compile(r"analytics\.js/v1/|analytics\.min\.js|analytics\.load\s*\(")
_WRITE_KEY = re.compile(r"""analytics\.load\s*\(\s*["']([A-Za-z0-9_-]+)["']""")
_HEADER_LINE = re.compile(r"[A-Za-z0-9-]+:[ \t]*\S?")
_STATUS_LINE = re.compile(r"HTTP/\d(?:\.\d)? \d{3}")
_HTML = re.compile(r"\s*(?:<!|<[a-zA-Z?])")


class Page(NamedTuple):
    policies: tuple[Policy, ...]
    snippet: Snippet | None  # None where no inline snippet is in sight
    notes: tuple[str, ...] = ()


def read_page(saved: str, *, report_only: bool = False) -> Page:
    """What browsers take from it. `report_only` holds for a bare policy, which can't say it by itself."""
    saved = saved.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if _STATUS_LINE.match(saved):
        return _read_response(saved)
    if _HTML.match(saved):
        return _read_html(saved)
    first = next((line for line in saved.split("\n") if line.strip()), "")
    if _HEADER_LINE.match(first) and _names_of(saved):
        return _read_response(saved)
    return Page(tuple(parse_header(" ".join(saved.split("\n")), report_only=report_only)), None)


def write_key(snippet: Snippet) -> str | None:
    """The write key that the snippet loads with, where it stands in its text."""
    found = _WRITE_KEY.search(snippet.text or "")
    return None if found is None else found[1]


def _names_of(headers: str) -> bool:
    return any(name in (ENFORCED, REPORTED) for name, _ in _fields(headers))


def _read_response(saved: str) -> Page:
    """The last response of those that curl -iL saves, and the HTML behind its headers."""
    headers, _, body = saved.partition("\n\n")
    while _STATUS_LINE.match(body):
        headers, _, body = body.partition("\n\n")
    policies = [
        policy
        for name, value in _fields(headers)
        if name in (ENFORCED, REPORTED)
        for policy in parse_header(value, report_only=name == REPORTED)
    ]
    inner = _read_html(body)
    return Page((*policies, *inner.policies), inner.snippet, inner.notes)


def _fields(headers: str) -> Iterator[tuple[str, str]]:
    """Names in lower case and values; a line that begins with a space goes on with the one before.

    Developer tools copy a header as two lines, its value on the second one.
    """
    headers = re.sub(
        rf"^({ENFORCED}|{REPORTED}):[ \t]*\n", r"\1: ", headers, flags=re.MULTILINE | re.IGNORECASE
    )
    for line in re.sub(r"\n[ \t]+", " ", headers).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _read_html(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Page(tuple(reader.policies), reader.snippet, tuple(reader.notes))


class _Reader(HTMLParser):
    """Goes through a page once: policies in the head, and the first inline script that is the snippet."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.policies: list[Policy] = []
        self.notes: list[str] = []
        self.snippet: Snippet | None = None
        self._in_head = True
        self._text: list[str] | None = None  # of the script that is being read
        self._nonce: str | None = None
        self._inside: str | None = None  # an element whose text and elements are no part of the page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._inside is not None:
            return
        self._in_head = self._in_head and tag in _IN_HEAD
        self._inside = tag if tag in _OPAQUE else None
        values = {name: value or "" for name, value in reversed(attrs)}  # the first of a name counts
        if tag == "meta":
            self._take_meta(values)
        if tag == "script" and "src" not in values and _SCRIPT_TYPE.match(values.get("type", "").strip()):
            self._text, self._nonce = [], values.get("nonce")

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
        elif self._inside is None and data.strip():
            self._in_head = False

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = None
        if tag == "script" and self._text is not None:
            text, self._text = "".join(self._text), None
            if self.snippet is None and _SNIPPET.search(text):
                self.snippet = Snippet(text, tag_known=True, nonce=self._nonce)

    def _take_meta(self, values: dict[str, str]) -> None:
        kind = values.get("http-equiv", "").strip().lower()
        if kind == REPORTED:
            self.notes.append("a meta element can't carry a report-only policy: browsers pass over it")
        elif kind == ENFORCED and not self._in_head:
            self.notes.append("a meta element with a policy stands outside the head: browsers pass over it")
        elif kind == ENFORCED:
            self._take_policies(values.get("content", ""))

    def _take_policies(self, content: str) -> None:
        """HTML (4.2.5.3) says that an element has one policy; Chromium ends one at a comma, as in headers."""
        if "," in content:
            self.notes.append("a comma in a meta element's policy: to some browsers it ends the policy")
        late = self.snippet is not None
        parsed = (parse_policy(part, carrier=Carrier.META, after_snippet=late) for part in content.split(","))
        self.policies.extend(policy for policy in parsed if policy is not None)
