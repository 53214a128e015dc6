"""What the documentation names exists: files, commands with their options, settings."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from topics.registry import TOPICS
from workers.__main__ import strongroom
from workers.ledger.halts import CAUSES
from workers.observe.metrics import HOLD_CAUSES
from workers.settings import BadSettings, Settings
from workers.settings_checks import PREFIX

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "workers/sample/README.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("deploy/**/*.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
# in comments: `format.md`, `docs/architecture.md, Flush` (a heading of it), `docs/decisions/002`
PAGE = re.compile(r"(?<![\w*./-])((?:[\w.-]+/)*[\w-]+\.md)\b(?:, ([A-Z][\w ]*\w))?")
RECORD = re.compile(r"docs/decisions/(\d{3})\b")
SOURCES = [
    path
    for folder in ("topics", "workers", "tests", "deploy")
    for pattern in ("*.py", "*.sh", "*.yaml", "Dockerfile")
    for path in sorted((ROOT / folder).rglob(pattern))
    if path.resolve() != Path(__file__).resolve()  # which cites what is not there
]
SETTING = re.compile(r"\bSTRONGROOM_[A-Z0-9_]+\b")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(text: str) -> Iterator[list[str]]:
    """The words after `strongroom` in each command that code blocks and spans show."""
    shown = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    shown += SPAN.findall(FENCE.sub("", text))
    for line in shown:
        for part in re.split(r"[|;]|&&", line.split(" #")[0]):
            words = part.strip().removeprefix("$ ").split()
            placeholder = len(words) < 2 or "─" in part or "," in words[1] or words[1].isupper()
            if words[:1] == ["strongroom"] and not placeholder:
                yield shlex.split(part.strip().removeprefix("$ "))[1:]


def complaint(words: list[str]) -> str | None:
    """What no such command or option is, in words; None if all is there."""
    command: click.Command = strongroom
    context = click.Context(command)
    alone = False  # a group that is a command too, and has options of its own
    for number, word in enumerate(words):
        alone |= isinstance(command, click.Group) and command.invoke_without_command and word.startswith("-")
        if isinstance(command, click.Group) and not alone:
            found = None if word.startswith("-") else command.get_command(context, word)
            if found is None:
                return f"`strongroom {' '.join(words[: number + 1])}` is no command"
            command, context = found, click.Context(found, parent=context)
        elif word.startswith("--"):
            options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            if word.split("=")[0] not in {*options, "--help"}:
                return f"`strongroom {' '.join(words)}`: there is no {word}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target.split("#")[0] for target in LINK.findall(page.read_text()) if "://" not in target]
    assert not [target for target in targets if target and not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_their_options_exist(page: Path) -> None:
    complaints = [complaint(words) for words in commands(page.read_text())]
    assert not [each for each in complaints if each]


def test_commands_are_found_in_the_pages() -> None:
    shown = [words for page in PAGES for words in commands(page.read_text())]
    assert ["worker", "archive"] in shown
    assert len({words[0] for words in shown}) >= 10


def test_a_command_or_option_that_is_not_there_is_seen() -> None:
    assert complaint(["frobnicate"]) is not None
    assert complaint(["keys", "forget"]) is not None
    assert complaint(["verify", "--lenient"]) is not None
    assert complaint(["csp", "--lenient"]) is not None
    assert complaint(["csp", "forget"]) is not None


def miscited(source: Path, text: str) -> Iterator[str]:
    """What a source's text cites that no page here says."""
    for name, section in PAGE.findall(text):
        places = (source.parent / name, ROOT / name, ROOT / "docs" / name)
        page = next((place for place in places if place.is_file()), None)
        if page is None:
            yield f"there is no {name}"
        elif section and not any(heading.startswith(section) for heading in headings(page)):
            yield f"{name} has no section {section}"
    for number in RECORD.findall(text):
        if not any((ROOT / "docs/decisions").glob(f"{number}-*.md")):
            yield f"there is no decision {number}"


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)


def test_what_comments_cite_is_written_here() -> None:
    found = {named(source): list(miscited(source, source.read_text())) for source in SOURCES}
    assert {name: complaints for name, complaints in found.items() if complaints} == {}


def test_a_citation_of_nothing_is_seen() -> None:
    source = ROOT / "workers/settings.py"
    cited = "see ledger.md (docs/s3.md, Tea), docs/decisions/999; docs/s3.md, TLS, is there, and README.md"
    assert list(miscited(source, cited)) == [
        "there is no ledger.md",
        "docs/s3.md has no section Tea",
        "there is no decision 999",
    ]


def test_every_topic_is_described() -> None:
    page = (ROOT / "docs/kafka.md").read_text()
    assert not [topic.name for topic in TOPICS if f"\n| `{topic.name}` |" not in page]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_exist(page: Path) -> None:
    declared = {f"STRONGROOM_{name.upper()}" for name in Settings.model_fields}
    named_here = {name for name in SETTING.findall(page.read_text()) if not name.endswith("_")}
    assert not named_here - declared


def exports(text: str) -> Iterator[dict[str, str]]:
    """What each code block that exports settings makes of an environment without any."""
    for block in FENCE.findall(text):
        lines = [line for line in block.splitlines() if line.startswith("export ")]
        found = dict(word.split("=", 1) for line in lines for word in shlex.split(line, comments=True)[1:])
        if any(name.startswith(PREFIX) for name in found):
            yield found


def load(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    Settings.load()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_that_a_page_exports_can_be_used(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in exports(page.read_text()):
        load(environment, monkeypatch)


def test_exports_are_found_in_the_readme_and_bad_ones_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    (environment,) = exports((ROOT / "README.md").read_text())
    assert "STRONGROOM_S3_BUCKET" in environment
    del environment["STRONGROOM_KAFKA_TLS"]
    with pytest.raises(BadSettings, match="clear text"):
        load(environment, monkeypatch)


@pytest.mark.parametrize("cause", [*HOLD_CAUSES, *CAUSES])
def test_operators_find_every_cause_of_a_hold_or_halt(cause: str) -> None:
    assert f"\n| `{cause}` |" in (ROOT / "docs/operations.md").read_text()
