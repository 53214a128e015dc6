"""Runs TLC, the model checker of TLA+, on Ledger.tla, and says in its own words what it found.

TLC is one jar, fetched by tests/stack/up.sh. It runs on this machine's Java, or else on the Kafka image's.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.stack.ladder import NoStack

SPEC = Path(__file__).with_name("Ledger.tla")
# most searches are short: there a compiler that starts fast is worth more than one whose code is faster
SHORT = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LONG = ("-Xmx3g", "-XX:+UseParallelGC")
OF_STEPS = ("NothingCommittedChanges", "GoneForEver", "Progress")  # what is said of steps; the rest of states
TAKEN = r"^<(\w+) line .* of module Ledger>: \d+:(\d+)$"  # an action, and how often it was taken
COMPLETE = "Model checking completed. No error has been found."


@dataclass(frozen=True, slots=True)
class Search:
    """One search: the model's bounds, a mutant or none, what must hold, and which states are told apart."""

    properties: tuple[str, ...]  # definitions of Ledger.tla
    mutant: str = "none"
    writers: int = 2
    flushes: int = 2  # a writer
    spare: int = 0  # flushes more of the writer that is left when faults have ended; 0: they never end
    end: int = 2  # of the log
    max_start: int = 0  # how far retention may move the log's start
    incarnations: int = 1
    whole: bool = False  # tell all states apart, but for the writers' names, and count their views

    @property
    def config(self) -> str:
        """TLC's configuration. Progress is about whole behaviours: no view or symmetry may cut those."""
        progress = "Progress" in self.properties
        constants = {
            "Writers": f"{{{', '.join(f'w{number}' for number in range(1, self.writers + 1))}}}",
            "Flushes": self.flushes,
            "Spare": self.spare,
            "End": self.end,
            "MaxStart": self.max_start,
            "Incarnations": self.incarnations,
            "Late": "TRUE" if self.whole else "FALSE",
            "Mutant": f'"{self.mutant}"',
            "Nobody": "Nobody",
        }
        lines = [
            *(f"CONSTANT {name} = {value}" for name, value in constants.items()),
            f"SPECIFICATION {'FairSpec' if progress else 'Spec'}",
            *(f"{'PROPERTY' if name in OF_STEPS else 'INVARIANT'} {name}" for name in self.properties),
            "CHECK_DEADLOCK FALSE",  # a log that is archived is an end
        ]
        if self.whole:
            lines.append("INVARIANT Meet")
        if not progress:
            # a mutant breaks what the view rests on
            lines.append("SYMMETRY Symmetry" if self.whole or self.mutant != "none" else "VIEW View")
        return "\n".join(lines) + "\n"


class Outcome(NamedTuple):
    complete: bool  # every state that can be reached was visited, and all that was asked holds
    violated: str | None  # the property that a counterexample was found for
    counterexample: tuple[str, ...]  # the actions that lead to it
    states: int  # different ones
    views: int  # met by a search that tells all states apart
    taken: dict[str, int]  # action -> how often, where it was asked for
    output: str


def run(search: Search, folder: Path, *, long: bool = False, count_actions: bool = False) -> Outcome:
    """Searches in `folder`. Raises NoStack where there is no TLC, RuntimeError where it fails."""
    # of two threads each would count the views that it meets itself
    threads = "2" if long and not search.whole else "1"
    shutil.copy(SPEC, folder)  # this TLC looks for a configuration beside the module only
    (folder / "Ledger.cfg").write_text(search.config)
    command = [
        *_java(folder, LONG if long else SHORT),
        *("tlc2.TLC", "-config", "Ledger.cfg", "-metadir", "states", "-workers", threads),
        *(("-coverage", "60") if count_actions else ()),
        "Ledger.tla",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    shutil.rmtree(folder / "states", ignore_errors=True)
    return _read(search, done.stdout + done.stderr)


def _java(folder: Path, options: tuple[str, ...]) -> list[str]:
    """The command up to TLC's class: here, or in a container that sees `folder` and the jar."""
    jar = os.environ.get("TLC_JAR", "")
    if not Path(jar).is_file():
        raise NoStack(
            "no TLC, the model checker, can be had: run tests/stack/up.sh, which gets its jar with Maven "
            "(Debian: default-jdk-headless maven), or with a Docker engine that can pull an image of Maven"
        )
    # it unpacks its modules there: never two searches in one place
    options = (*options, "-Djava.io.tmpdir=.")
    if shutil.which("java"):
        return ["java", *options, "-cp", jar]
    image = os.environ.get("KAFKA_IMAGE", "")
    if not image or not shutil.which("docker"):
        raise NoStack(
            "TLC needs Java 11 or newer: install a JRE, or run tests/stack/up.sh with a Docker engine"
        )
    user = f"{os.getuid()}:{os.getgid()}"
    return [
        *("docker", "run", "--rm", "--user", user, "-v", f"{folder}:/model", "-v", f"{jar}:/tlc.jar:ro"),
        *("-w", "/model", image, "java", *options, "-cp", "/tlc.jar"),
    ]


def _read(search: Search, output: str) -> Outcome:
    counts = re.search(r"([\d,]+) distinct states found, ([\d,]+) states left on queue\.", output)
    violated = re.search(r"Error: (?:Invariant|Action property) (\w+) is violated", output)
    found = violated[1] if violated else None
    if "Error: Temporal properties were violated." in output:
        (found,) = search.properties  # TLC does not say which: ask for one
    complete = COMPLETE in output and counts is not None and counts[2] == "0"
    if counts is None or complete == (found is not None):
        raise RuntimeError(f"TLC neither completed its search nor found a counterexample:\n{output[-4000:]}")
    return Outcome(
        complete,
        found,
        tuple(re.findall(r"^State \d+: <?(\w+)", output, re.MULTILINE)[1:]),  # the first is where it begins
        int(counts[1].replace(",", "")),
        max((int(views) for views in re.findall(r'<<"views", (\d+)>>', output)), default=0),
        {name: int(times) for name, times in re.findall(TAKEN, output, re.MULTILINE)},
        output,
    )
