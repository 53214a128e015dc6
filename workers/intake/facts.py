"""What the rules may know of a record.

What of a page they looked at, and between which append times their answer holds, can be asked of the facts
afterwards: that is what lets `decided.py` keep decisions by everything they depend on (docs/policy.md).
"""

from functools import cached_property

from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Source, SourceType, Workspace, WorkspaceState
from topics.write_keys import KeyState
from workers.intake.disposed import NOTHING, Span
from workers.intake.dispositions import UNCLAIMED, Clock
from workers.intake.envelope import Envelope
from workers.intake.kept import BEGINNING, END, PLATFORM_TERMS, Term, term_of
from workers.intake.policy import NO_VERDICTS, KnownKey, Verdicts
from workers.intake.quotas import limit_of
from workers.origins.hosts import HostPatterns, host_patterns, origin_prefix, prefix_decides, web_host
from workers.origins.rehosts import Original, of_family, original, prefix_decides_original

# All that the rules may know of a page: Origin, Referer, context.page.url and .referrer, cut behind the host.
# Referer is None where Origin is the better witness, the referrer but for `null` (docs/origins.md).
PageInputs = tuple[str | None, str | None, str | None, str | None]
NO_PAGE: PageInputs = (None, None, None, None)


def page_inputs(envelope: Envelope) -> PageInputs:
    """Runs for each record of a judged source, so it cuts and does not parse."""
    context = envelope.event.context
    page = context.page if context is not None else None
    url = page.url if page is not None else None
    if url:  # origin_prefix, without the call
        end = url.find("/", 9)
        if end > 0:
            url = url[: end + 1]
    origin = envelope.origin
    if origin and origin != "null":
        return origin, None, url, None
    referer = envelope.referer
    referrer = page.referrer if origin and page is not None else None
    return (
        origin,
        origin_prefix(referer) if referer else None,
        url,
        origin_prefix(referrer) if referrer else None,
    )


def exact_inputs(inputs: PageInputs, envelope: Envelope) -> PageInputs:
    """Equal to `inputs` if their prefixes tell all that counts, else the same with the whole URLs.

    They tell the hosts of `envelope`; but a page of a re-host says further back whose page it shows.
    """
    origin, referer, url, referrer = inputs
    page = envelope.page
    claimed, came_from = (page.url, page.referrer) if page is not None else (None, None)
    if referrer and came_from and not prefix_decides(referrer, came_from):
        referrer = came_from  # whose page it shows is no matter: it only shows that a browser was there
    return origin, _exact(referer, envelope.referer), _exact(url, claimed), referrer


def _exact(prefix: str | None, url: str | None) -> str | None:
    return prefix if prefix is None or url is None or prefix_decides_original(prefix, url) else url


class Page:
    """Where a record says that it comes from: `witness` by the browser's headers, `claim` by the page."""

    def __init__(self, inputs: PageInputs) -> None:
        origin, referer, url, referrer = inputs
        self.null = origin == "null"
        self._witness_url = referer if self.null or not origin else origin
        self._claim_url = url
        self.witness = web_host(self._witness_url)
        self.claim = web_host(url)
        # `Origin: null` alone proves no browser page: apps and local files send it too
        self.of_browser = self.witness is not None or (
            self.null and (self.claim is not None or web_host(referrer) is not None)
        )

    @property
    def host(self) -> str | None:
        """Which host a verdict on the record would be about: without a witness what the page says must do."""
        return self.witness or self.claim

    @cached_property
    def witness_is_rehost(self) -> bool:
        return self.witness is not None and of_family(self.witness)

    @cached_property
    def claim_original(self) -> Original | None:
        """Whose page the claim's is, if it is one of a re-host."""
        return original(self._claim_url) if self._claim_url and of_family(self.claim or "") else None

    @cached_property
    def witness_original(self) -> Original | None:
        """Whose page the witness's is. What a header cuts off, the claim has, if it is of the same host."""
        if not self.witness_is_rehost or not self._witness_url:
            return None
        found = original(self._witness_url)
        return self.claim_original if found is None and self.claim == self.witness else found


class Account:
    """A source of a workspace as the rules use it. One it does not list is judged as a browser's."""

    def __init__(self, workspace: Workspace, source_id: str) -> None:
        source = workspace.source(source_id) or Source(id=source_id)
        own = (*workspace.allowed_origins, *source.allowed_origins)
        self.closed = workspace.state is WorkspaceState.CLOSED
        self.browser = source.type is SourceType.BROWSER
        self.own: HostPatterns | None = host_patterns(own) if own else None
        self.limit = limit_of(workspace)
        self.term = term_of(workspace, source_id)
        self.quarantines = workspace.origins is OriginPolicy.QUARANTINE
        self._of = workspace, source_id

    @cached_property
    def quarantine(self) -> Term:
        """Looked at only where there are verdicts."""
        return term_of(*self._of, Clock.QUARANTINE)


class Facts:
    """One record as the rules see it. Times in ms."""

    def __init__(
        self,
        key: KnownKey | None,
        account: Account | None,
        *,
        appended: int,
        now: int,
        inputs: PageInputs = NO_PAGE,
        room: int = 0,
        over_quota: bool = False,
        verdicts: Verdicts = NO_VERDICTS,
        disposed: Span = NOTHING,
    ) -> None:
        self.key = key
        self.account = account  # None: no such key, or its workspace's record has not arrived
        self.appended = appended
        self.room = room  # bytes left for unknown keys once this record is in; negative: it has no room
        self.over_quota = over_quota  # the key had used up what its workspace lets each key send
        self.verdicts = verdicts  # on hosts that send with the key; the rules believe all of them
        self.until = (
            END if key is None or key.until is None or key.state is not KeyState.RETIRING else key.until
        )
        # whose workspace nobody knows yet is kept as unclaimed
        term = PLATFORM_TERMS[UNCLAIMED] if account is None else account.term
        self.kept_since = term.kept_since(now)
        # what was appended before is past what a quarantine keeps: only a key with verdicts has one
        self.quarantined_since = (
            account.quarantine.kept_since(now) if account is not None and verdicts else BEGINNING
        )
        # what was disposed of its source at that time; of a workspace that nobody knows, of what is unclaimed
        self.disposed = disposed
        self._inputs = inputs
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        if self._page is None:
            self._page = Page(self._inputs)
        return self._page

    def said_of(self, host: str | None) -> VerdictKind | None:
        if not self.verdicts or host is None:
            return None
        verdict = self.verdicts.get(host)
        return verdict.kind if verdict is not None else None

    @property
    def page_was_read(self) -> bool:
        return self._page is not None

    @property
    def holds(self) -> tuple[int, int]:
        """Append times [from, to) for which everything that the rules read of time stays the same."""
        known = (self.until, self.kept_since, self.quarantined_since)
        span = self.disposed
        limits = (BEGINNING, *(known if self.verdicts else known[:2]), span.since, span.until, END)
        start = max(limit for limit in limits if limit <= self.appended)
        return start, min(limit for limit in limits if limit > self.appended)
