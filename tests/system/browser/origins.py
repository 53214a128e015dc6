"""Two copies of a shop are caught in a real browser, then one is released and one blocked.

    python -m tests.system.browser.origins

A real Chromium opens a shop and two scraped copies of it, one of which kept the shop's absolute canonical
link. Segment's own SDK sends what it sends; a collector puts it on a real Kafka; `strongroom worker archive`
and `worker judge` do the rest on a real S3. The judge must call both hosts copies; what they send from then
on must be quarantined; of the shop's own calls none may be missing, or be there twice. Only the weeks of the
shop's own traffic that a judge learns from are made (before.py). The three minutes that evidence must stand
are waited for: some 5 minutes in all. Exits 1 if anything is amiss.
"""

import asyncio
import itertools
import json
import signal
import sys
import time
from collections import Counter
from typing import Any

from tests.benchmarks.policy_fleet import fleet_for
from tests.integration.csp.chromium import Tab, chromium, served
from tests.stack import ladder
from tests.stack.segment_sdk import NAME, VERSION, segment_sdk
from tests.system.browser.before import observed_before
from tests.system.browser.shop import COPIES, KEY, OWN, PAGES, TRACKED, WITH_CANONICAL, WITHOUT, Web
from tests.system.fleet import Fleet, Worker, wait_until
from workers.settings import Settings

WORKSPACE, PATTERN = "acme", "[*.]shop.example"
ABOUT = ("--workspace", WORKSPACE, "--reason", "they rang")
JUDGED_WITHIN = 300.0  # seconds, of which the evidence stands 180
EVERY = 10.0  # seconds between two visits of the shop while the judge waits
OWN_VISITS = 24  # for 14 of each copy: one with over a fifth of all records may be a move


class Visits:
    """People with a browser and a network each."""

    def __init__(self, tab: Tab, pages: Web) -> None:
        self._tab, self._web = tab, pages
        self._people = itertools.count(1)

    async def visit(self, host: str, number: int, *, on: bool = False) -> None:
        """Somebody new opens a page; with `on` they go on to the next one by its link."""
        self._web.ip = f"2001:db8:{next(self._people):x}::1"
        await self._tab.call("Network.clearBrowserCookies")
        await self._tab.call(
            "Storage.clearDataForOrigin", origin=f"https://{host}", storageTypes="local_storage"
        )
        await self._tab.open(f"https://{host}/p/{number % PAGES}")
        assert await self._tab.evaluate("window.told")
        if on:
            await self._tab.click("#next")
            assert await self._tab.evaluate("window.told")

    async def phase(self, name: str, own: int, copies: int) -> None:
        """Visits of the shop, and of each copy, in between; two pages a visitor of these."""
        self._web.phase = name
        for number in range(own):
            await self.visit(OWN, number)
            if number < copies:
                for host in COPIES:
                    await self.visit(host, 2 * number, on=True)
        self._web.flush()


async def run(fleet: Fleet, bootstrap: str) -> list[str]:
    """What was found amiss."""
    fleet.run(
        *("workspaces", "set", WORKSPACE, "--source", "web:browser", "--allow-origin", PATTERN),
        *("--origins", "quarantine"),
    )
    fleet.run("keys", "add", KEY, "--workspace", WORKSPACE, "--source", "web")
    pages = Web(segment_sdk(), bootstrap, f"{fleet.prefix}raw-events")
    async with (
        served(pages.answer, fleet.folder) as ports,
        chromium(tls=[443], plain=[80], to=ports) as tab,
    ):
        await tab.call("Page.enable")
        browser = await tab.call("Browser.getVersion")
        print(f"{NAME} {VERSION} in {browser['product']}; {ladder.said()}", flush=True)
        visits = Visits(tab, pages)
        await visits.phase("first", own=PAGES, copies=0)
        told = await observed_before(Settings.load(), WORKSPACE, PATTERN, [call.line for call in pages.calls])
        print(f"{told} hours of the shop's own pages are told, made of {len(pages.calls)} calls", flush=True)
        archive = fleet.worker(STRONGROOM_OBSERVE_INTERVAL="1")
        judge = fleet.worker("judge-0", role="judge")
        for worker in (archive, judge):
            await asyncio.to_thread(worker.wait_ready)
        await visits.phase("before", own=OWN_VISITS, copies=PAGES // 2)
        await wait_for_verdicts(fleet, visits, pages, judge)
        await visits.phase("after", own=5, copies=3)
        await archived(archive, pages)
        caught = stored(fleet)
        findings = as_caught(pages, caught)
        for host in COPIES:
            print(fleet.run("origins", "show", host, "--workspace", WORKSPACE).stdout.decode(), flush=True)
        findings += await asyncio.to_thread(explained, fleet)
        words = confirm(fleet, pages)
        await visits.phase("later", own=5, copies=3)
        await archived(archive, pages)
    for worker in (judge, archive):
        if (code := worker.stop()) != 0:
            findings.append(f"{worker.name} ended with {code}")
    findings += words + as_confirmed(fleet, pages, stored(fleet))
    if not fleet.json("verify", "--deep")["clean"]:
        findings.append("strongroom verify --deep finds something")
    return findings


async def wait_for_verdicts(fleet: Fleet, visits: Visits, pages: Web, judge: Worker) -> None:
    """The shop's own visitors go on; `now` of the judge is what was seen last."""
    began = time.monotonic()
    while (said := verdicts(fleet)) != dict.fromkeys(COPIES, "copy"):
        assert time.monotonic() - began < JUDGED_WITHIN, f"verdicts are {said}:\n{judge.log()}"
        await visits.phase("before", own=2, copies=0)
        await asyncio.sleep(EVERY)
    waited = time.monotonic() - began
    print(f"both hosts are called copies {waited:.0f} s after the last visit of one", flush=True)
    await asyncio.sleep(2.0)  # a verdict counts within a second


def verdicts(fleet: Fleet) -> dict[str, str]:
    return {each["host"]: each["kind"] for each in fleet.json("origins", "list", "--workspace", WORKSPACE)}


async def archived(worker: Worker, pages: Web) -> None:
    due = len(pages.calls)
    await asyncio.to_thread(
        wait_until, lambda: worker.metric("strongroom_records_total") >= due, 60, worker.log
    )


def stored(fleet: Fleet) -> dict[str, Counter[str]]:
    """Disposition → how often each message is there."""
    found = {}
    for each in ("accepted", "flagged", "quarantined"):
        lines = fleet.run("read", "--workspace", WORKSPACE, "--unwrap", "--disposition", each).stdout
        found[each] = Counter(json.loads(line)["messageId"] for line in lines.splitlines())
    return found


def amiss(what: str, found: Counter[str], wanted: set[str]) -> list[str]:
    print(f"{what}: {found.total()} of {len(wanted)}", flush=True)
    if found == Counter(wanted):
        return []
    more, less = len(found - Counter(wanted)), len(Counter(wanted) - found)
    return [f"{what}: {less} are missing, {more} too many"]


def as_caught(pages: Web, found: dict[str, Counter[str]]) -> list[str]:
    own = {message for phase in ("first", "before", "after") for message in pages.ids(phase, OWN)}
    calls = PAGES + OWN_VISITS
    findings = (
        [] if len(own) >= calls * (1 + TRACKED) else [f"the SDK sent {len(own)} calls of {calls} pages"]
    )
    return [
        *findings,
        *amiss("the shop's own calls, accepted", found["accepted"], own),
        *amiss("the copies' before their verdicts, flagged", found["flagged"], pages.ids("before", *COPIES)),
        *amiss("the copies' after them, quarantined", found["quarantined"], pages.ids("after", *COPIES)),
    ]


def explained(fleet: Fleet) -> list[str]:
    """Each copy by its pages, and by the canonical link the one that kept it."""
    findings = []
    for host in COPIES:
        (row,) = fleet.json("origins", "show", host, "--workspace", WORKSPACE)
        evidence: dict[str, Any] = row["evidence"]
        shadow = 1.0 if host == WITH_CANONICAL else 0.0
        if evidence["canonical_shadow"] != shadow or evidence["content_match"] < 0.7 or not row["words"]:
            findings.append(f"{host}: {evidence} {row['words']}")
    return findings


def confirm(fleet: Fleet, pages: Web) -> list[str]:
    """The customer's word: one host is theirs, the other one is not."""
    findings = []
    fleet.run("origins", "approve", WITH_CANONICAL, *ABOUT, "--wait")
    fleet.run("origins", "block", WITHOUT, *ABOUT, "--wait")
    for command, host, became in (
        ("release", WITH_CANONICAL, "accepted"),
        ("discard", WITHOUT, "discarded"),
    ):
        moved = fleet.json("origins", command, "--host", host, *ABOUT)
        records = sum(each["records"] for each in moved)
        print(f"{command} {host}: {records} records are {became}", flush=True)
        if records != len(pages.ids("after", host)) or {each["became"] for each in moved} != {became}:
            findings.append(f"{command} {host}: {moved}")
    return findings


def as_confirmed(fleet: Fleet, pages: Web, found: dict[str, Counter[str]]) -> list[str]:
    own = {call.message for call in pages.calls if call.host == OWN}
    released = pages.ids("after", WITH_CANONICAL) | pages.ids("later", WITH_CANONICAL)
    blocked = len(pages.ids("later", WITHOUT))
    refused = [
        (each["reason"], each["host"], each["records"])
        for each in fleet.json("rejections", "--workspace", WORKSPACE)
    ]
    findings = [] if refused == [("blocked_origin", WITHOUT, blocked)] else [f"rejected are {refused}"]
    print(f"rejected of the blocked host: {refused}", flush=True)
    return [
        *findings,
        *amiss("the shop's own and the released host's, accepted", found["accepted"], own | released),
        *amiss("the copies' before their verdicts, flagged", found["flagged"], pages.ids("before", *COPIES)),
        *amiss("left in quarantine", found["quarantined"], set()),
    ]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    began = time.monotonic()
    with fleet_for(1, flush_interval=1) as (kafka, fleet):
        findings = asyncio.run(run(fleet, kafka.bootstrap))
    for finding in findings:
        print(f"FAILED: {finding}")
    print(f"{time.monotonic() - began:.0f} s: {'all is well' if not findings else 'not well'}")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
