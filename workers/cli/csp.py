"""`strongroom csp`: what a page's policy must have for the analytics snippet, and what it lacks."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from workers.cli import output
from workers.csp import needs as needs_of
from workers.csp.advice import Change, advise
from workers.csp.needs import SAMPLE_KEY, Need, Snippet
from workers.csp.page import Page, read_page, write_key
from workers.csp.policy import Policy, serialize
from workers.csp.sources import parse_url
from workers.csp.verdict import Finding, Outcome, judge_all
from workers.errors import Poison
from workers.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

SOMEBODY = "https://page.invalid/"  # a page that is none of the hosts: 'self' is nobody's without --page
COLUMNS = ("policy", "verdict", "need", "directive", "why")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Told(NamedTuple):
    """The options that both commands have; None and () where the settings or the snippet say it."""

    cdn: str | None
    collectors: tuple[str, ...]
    redirects: tuple[str, ...]
    write_key: str | None
    snippet: Path | None


def told_options(command: F) -> F:
    """The options of Told."""
    for option in (
        click.option(
            "--snippet", type=FILE, help="File of the inline snippet, with or without its tag; for its hash."
        ),
        click.option("--write-key", help="The page's write key, for policies that name paths."),
        click.option(
            "--redirect",
            "redirects",
            multiple=True,
            metavar="FROM=TO",
            help="Host FROM redirects to host TO; may repeat.",
        ),
        click.option("--collector", "collectors", multiple=True, help="Host that takes calls; may repeat."),
        click.option("--cdn", help="Host that serves the SDK."),
    ):
        command = option(command)
    return command


@click.group(invoke_without_command=True)
@told_options
@output.json_option
@click.pass_context
def csp(ctx: click.Context, /, as_json: bool, **told: Any) -> None:
    """Print the sources that a page's Content-Security-Policy needs for the analytics snippet."""
    if ctx.invoked_subcommand is not None:
        if as_json or any(told.values()):
            raise click.UsageError("the options of `csp check` stand behind the word check")
        return
    asked = Told(**told)
    with _as_usage():
        snippet = _snippet(asked.snippet) or Snippet()
        found = needs_of.sources(_needs(asked, snippet), snippet)
    if as_json:
        output.print_json(found)
        return
    click.echo(serialize(found).replace("; ", ";\n") + ";")
    if snippet.text is None:
        output.say(
            "The inline snippet itself needs its hash in script-src (--snippet FILE prints it) or a nonce "
            "in its tag; 'unsafe-inline' would allow an attacker's scripts too."
        )


@csp.command()
@click.argument("policy", required=False)
@click.option("--file", "saved", type=FILE, help="A saved response (curl -i), its headers, or a page's HTML.")
@click.option("--report-only", is_flag=True, help="POLICY came as Content-Security-Policy-Report-Only.")
@click.option(
    "--page", default=SOMEBODY, help="URL of the page: who 'self' is, and the scheme of bare hosts."
)
@told_options
@output.json_option
def check(
    policy: str | None, saved: Path | None, report_only: bool, page: str, as_json: bool, **told: Any
) -> int:
    """Say what POLICY, or that of a saved page, would block of the snippet, and the smallest change to it.

    Without POLICY and --file, reads stdin. Exit code 1 if a policy that is enforced blocks something.
    """
    if policy is not None and saved is not None:
        raise click.UsageError("give POLICY or --file, not both")
    asked = Told(**told)
    with _as_usage():
        page_url, given = parse_url(page), _snippet(asked.snippet)
    read = read_page(_text(policy, saved), report_only=report_only)
    snippet = given or read.snippet or Snippet()
    with _as_usage():
        wanted = _needs(asked, snippet)
    verdicts = judge_all(read.policies, wanted, snippet, page_url)
    changes = [advise(each, found, snippet) for each, found in zip(read.policies, verdicts, strict=True)]
    if as_json:
        output.print_json(_json(read, verdicts, changes))
    else:
        _print(read, verdicts, changes)
    return int(any(_blocks(each, found) for each, found in zip(read.policies, verdicts, strict=True)))


@contextmanager
def _as_usage() -> Iterator[None]:
    """Exit code 1 says that a policy blocks something: what was asked wrongly must not say so."""
    try:
        yield
    except Poison as wrong:
        raise click.UsageError(str(wrong)) from wrong


def _needs(told: Told, snippet: Snippet) -> list[Need]:
    settings = Settings.load()
    collectors = told.collectors or tuple(part.strip() for part in settings.snippet_collectors.split(","))
    redirects = {}
    for each in told.redirects:
        source, equals, target = each.partition("=")
        if not equals:
            raise click.UsageError(f"--redirect {each!r}: write FROM=TO")
        redirects[source] = target
    key = told.write_key or write_key(snippet) or SAMPLE_KEY
    return needs_of.needs(told.cdn or settings.snippet_cdn, collectors, redirects=redirects, key=key)


def _snippet(file: Path | None) -> Snippet | None:
    """A snippet in its tag is the one of a page; without a tag, the file is the text, to the byte."""
    if file is None:
        return None
    text = file.read_bytes().decode("utf-8", "replace")
    if not text.lstrip().startswith("<"):
        return Snippet(text.replace("\r\n", "\n").replace("\r", "\n"))
    found = read_page(text).snippet
    if found is None:
        raise Poison(
            f"{output.visible(file)} has no inline script that loads analytics.js",
            remedy="Give the file of the snippet, or a page that has it",
        )
    return found


def _text(policy: str | None, saved: Path | None) -> str:
    if policy is not None and policy != "-":
        return policy
    raw = saved.read_bytes() if saved is not None else sys.stdin.buffer.read()
    return raw.decode("utf-8", "replace")


def _blocks(policy: Policy, findings: Sequence[Finding]) -> bool:
    return not policy.report_only and any(each.outcome is Outcome.BLOCKED for each in findings)


def _verdict(policy: Policy, finding: Finding) -> str:
    if policy.report_only and finding.outcome is Outcome.BLOCKED:
        return "would report"
    return {Outcome.BLOCKED: "would block"}.get(finding.outcome, finding.outcome.value)


def _name(policy: Policy, number: int) -> str:
    return f"{number} ({policy.carrier}{', report-only' if policy.report_only else ''})"


def _print(read: Page, verdicts: Sequence[Sequence[Finding]], changes: Sequence[Change]) -> None:
    if not read.policies:
        output.say("no policy: nothing is blocked")
    rows = [
        (_name(policy, n), _verdict(policy, each), each.need.name, each.directive, each.why)
        for n, (policy, findings) in enumerate(zip(read.policies, verdicts, strict=True), 1)
        for each in findings
    ]
    output.table(COLUMNS, rows)
    for n, (policy, change) in enumerate(zip(read.policies, changes, strict=True), 1):
        for step in change.steps:
            click.echo(f"policy {_name(policy, n)}: {output.visible(step)}")
        if change.policy is not None:
            click.echo(f"policy {_name(policy, n)} then: {output.visible(change.policy)}")
        for each in policy.ignored:
            output.say(f"note: policy {_name(policy, n)}: {output.visible(each)}")
    for note in read.notes:
        output.say(f"note: {note}")


def _json(read: Page, verdicts: Sequence[Sequence[Finding]], changes: Sequence[Change]) -> dict[str, Any]:
    return {
        "policies": [
            {
                "text": policy.text,
                "carrier": policy.carrier,
                "report_only": policy.report_only,
                "needs": [
                    {
                        "need": each.need.name,
                        "verdict": _verdict(policy, each),
                        "directive": each.directive or None,
                        "why": each.why or None,
                        "missing": each.missing,
                    }
                    for each in findings
                ],
                "change": change.steps,
                "changed_policy": change.policy,
                "ignored": policy.ignored,
            }
            for policy, findings, change in zip(read.policies, verdicts, changes, strict=True)
        ],
        "notes": read.notes,
    }
