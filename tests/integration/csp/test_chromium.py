"""Our verdict on a policy is the one of a real Chromium, need by need and policy by policy."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.csp.cases import CASES, SNIPPET, Case
from tests.integration.csp.chromium import Tab, chromium, served
from workers.csp.advice import advise
from workers.csp.needs import Kind, Need, needs
from workers.csp.page import read_page
from workers.csp.policy import Policy, parse_header
from workers.csp.sources import Url, parse_url
from workers.csp.verdict import Outcome, judge_all

pytestmark = pytest.mark.integration

PROBED = 2  # URLs of a need: policies of these cases tell the first from the second, or none from another

LISTEN = """
window.violations = [];
addEventListener('securitypolicyviolation', e => violations.push(
    {policy: e.originalPolicy, disposition: e.disposition, blocked: e.blockedURI}), true);
"""
# What the snippet does once it runs, as it does it: elements without a nonce, and requests.
PROBE = """
(async () => {
  const script = url => new Promise(done => {
    const element = document.createElement('script');
    element.onload = () => done(false);
    element.onerror = () => done(true);
    try { element.src = url; } catch { done(true); }
    document.head.append(element);
  });
  const call = url => fetch(url, {method: 'POST', mode: 'no-cors', body: '{}'}).then(() => false, () => true);
  const blocked = async (urls, one) => (await Promise.all(urls.map(async u => [u, await one(u)])))
    .filter(([_, b]) => b).map(([u]) => u);
  const found = [...await blocked(SCRIPTS, script), ...await blocked(CALLS, call)];
  await new Promise(done => setTimeout(done, 0));
  return {ran: window.ran === true, found, violations};
})()
"""


def html_of(case: Case) -> str:
    metas = "".join(
        f'<meta http-equiv="Content-Security-Policy" content="{escape(each)}">' for each in case.meta
    )
    tag = "<script>" if case.nonce is None else f'<script nonce="{case.nonce}">'
    snippet = f"{tag}{SNIPPET}</script>"
    head = snippet + metas if case.meta_behind else metas + snippet
    return f"<!doctype html><html><head><title>case</title>{case.html}{head}</head><body>shop</body></html>"


def headers_of(case: Case) -> list[tuple[str, str]]:
    return [("Content-Security-Policy", each) for each in case.headers] + [
        ("Content-Security-Policy-Report-Only", each) for each in case.reported
    ]


def needs_of(case: Case) -> list[Need]:
    return needs(case.cdn, [case.collector], redirects=dict(case.redirects))


def policies_of(case: Case) -> tuple[Policy, ...]:
    """By the saved response, as `strongroom csp check` reads one."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers_of(case))
    return read_page(f"HTTP/1.1 200 OK\r\n{lines}Content-Type: text/html\r\n\r\n{html_of(case)}").policies


def advised() -> Iterator[Case]:
    """The cases of one policy that a change of that policy alone mends, with what is advised."""
    for case in CASES:
        snippet, policies = read_page(html_of(case)).snippet, policies_of(case)
        if len(policies) == 1 and case.headers and snippet is not None:
            (found,) = judge_all(policies, needs_of(case), snippet, parse_url(case.page))
            change = advise(policies[0], found, snippet)
            if change.policy is not None and not change.in_page:
                yield case._replace(name=f"{case.name}, as advised", headers=(change.policy,))


ADVISED = list(advised())[::5]  # some of them: they are much alike
PAGES = CASES + ADVISED


def text_of(url: Url) -> str:
    return url.origin + url.path


async def answer(request: web.Request) -> web.StreamResponse:
    if request.path.startswith("/case/"):
        case = PAGES[int(request.path.rpartition("/")[2])]
        response = web.Response(text=html_of(case), content_type="text/html")
        for name, value in headers_of(case):
            response.headers.add(name, value)
        return response
    host = request.host.partition(":")[0]
    onward = {source: target for case in CASES for source, target in case.redirects}
    if host in onward:
        return web.Response(
            status=307, headers={"Location": f"{request.scheme}://{onward[host]}{request.path}"}
        )
    return web.Response(text="0", content_type="text/javascript")


async def observe(folder: Path) -> list[dict[str, Any]]:
    """What Chromium does on each page, in the order of PAGES."""
    seen = []
    async with (
        served(answer, folder) as ports,
        chromium(tls=[443, 444, 8443], plain=[80, 8080], to=ports) as tab,
    ):
        await tab.call("Page.enable")
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=LISTEN)
        for number, case in enumerate(PAGES):
            await tab.open(f"{case.page}case/{number}")
            seen.append(await probe(tab, case))
    return seen


async def probe(tab: Tab, case: Case) -> dict[str, Any]:
    if "sandbox" in case.name and "scripts" not in case.name:
        return {"ran": await tab.evaluate("window.ran === true")}
    script = PROBE
    for kind, name in ((Kind.SCRIPT, "SCRIPTS"), (Kind.CONNECT, "CALLS")):
        urls = [
            text_of(chain[0]) for need in needs_of(case) if need.kind is kind for chain in need.urls[:PROBED]
        ]
        script = script.replace(name, json.dumps(urls))
    result: dict[str, Any] = await tab.evaluate(script)
    return result


def blocked_by(policy: Policy, case: Case, violations: Sequence[dict[str, str]]) -> set[str]:
    """The needs that Chromium says this policy blocks, or would."""
    disposition = "report" if policy.report_only else "enforce"
    mine = {
        each["blocked"]
        for each in violations
        if (each["policy"], each["disposition"]) == (policy.text, disposition)
    }
    return {need.name for need in needs_of(case) if _names(need) & mine}


def _names(need: Need) -> set[str]:
    if need.kind is Kind.INLINE:
        return {"inline"}
    urls = {text_of(url) for chain in need.urls for url in chain}
    # a request is upgraded before the policy is asked
    urls |= {"https" + url.removeprefix("http") for url in urls if url.startswith("http:")}
    return urls | ({"trusted-types-sink"} if need.kind is Kind.SCRIPT else set())


def disagreements(case: Case, seen: dict[str, Any]) -> list[str]:
    policies, wanted = policies_of(case), needs_of(case)
    snippet = read_page(html_of(case)).snippet
    assert snippet is not None
    found = judge_all(policies, wanted, snippet, parse_url(case.page))
    for verdicts in found:
        assert all(each.outcome is not Outcome.DEPENDS for each in verdicts), "the page is known whole"
    wrong = []
    stopped = {
        each.need.name
        for policy, verdicts in zip(policies, found, strict=True)
        for each in verdicts
        if each.outcome is Outcome.BLOCKED and not policy.report_only
    }
    really = set() if seen["ran"] else {wanted[0].name}
    if "found" not in seen:  # no script runs at all: nothing else can be asked
        return [] if really and len(stopped) == len(wanted) else [f"{case.name}: {stopped} and {really}"]
    really |= {need.name for need in wanted if {text_of(c[0]) for c in need.urls} & set(seen["found"])}
    if stopped != really:
        wrong.append(f"{case.name}: blocked by us {sorted(stopped)}, by Chromium {sorted(really)}")
    for policy, verdicts in zip(policies, found, strict=True):
        ours = {each.need.name for each in verdicts if each.outcome is Outcome.BLOCKED}
        theirs = blocked_by(policy, case, seen["violations"])
        if ours != theirs:
            wrong.append(
                f"{case.name}, {policy.text!r}: violated for us {sorted(ours)}, for Chromium {sorted(theirs)}"
            )
    return wrong


def test_our_verdicts_are_chromiums(tmp_path: Path) -> None:
    seen = asyncio.run(observe(tmp_path))
    wrong = [each for case, one in zip(PAGES, seen, strict=True) for each in disagreements(case, one)]
    for case, one in zip(ADVISED, seen[len(CASES) :], strict=True):
        if not one["ran"] or one["found"] or one["violations"]:
            wrong.append(f"{case.name}, {case.headers}: still blocked {one}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_cases_are_forty_policies_and_more() -> None:
    texts = {policy.text for case in CASES for policy in policies_of(case)}
    assert len(texts) >= 40
    assert len(ADVISED) >= 10
    assert len({case.name for case in CASES}) == len(CASES)
    assert parse_header(" ; ,; ") == []
