"""A run in figures: for machines as JSON, for people as tables."""

from dataclasses import dataclass, field
from typing import Any

from tests.torture.checker import FINDINGS, Verdict


@dataclass
class Result:
    """Everything that a run came to. `failures` are the harness's own; with any, the run proves nothing."""

    seed: int
    command: str
    versions: dict[str, str]
    stack: str
    verdict: Verdict
    opened_by: str
    faults: dict[str, int]
    kills: int
    workers: int
    processes: int
    partitions: int
    ended_by_themselves: dict[str, int]
    said: dict[str, int]
    verify: dict[str, Any]
    seconds: dict[str, float]
    records_per_second: float
    faults_done: list[tuple[float, str, float]]
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.verdict.valid and self.verify.get("clean") is True and not self.failures

    def as_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "passed": self.passed,
            "seed": self.seed,
            "command": self.command,
            "versions": self.versions,
            "stack": self.stack,
            "records": {
                name: getattr(verdict, name)
                for name in ("acknowledged", "ok", "recovered", "aborted", "unknown", "archived")
            },
            "findings": verdict.counts,
            "examples": verdict.examples,
            "ledger": {name: getattr(verdict, name) for name in ("entries", "objects", "offsets", "gaps")},
            "opened_by": self.opened_by,
            "kills": self.kills,
            "faults": dict(sorted(self.faults.items())),
            "workers": self.workers,
            "processes": self.processes,
            "partitions": self.partitions,
            "ended_by_themselves": self.ended_by_themselves,
            "said": dict(sorted(self.said.items())),
            "verify": self.verify,
            "seconds": self.seconds,
            "records_per_second": self.records_per_second,
            "failures": self.failures,
            "done": self.faults_done,
        }


def text(result: Result) -> str:
    """Markdown that reads well on a terminal too."""
    verdict = result.verdict
    records = [
        ("acknowledged", verdict.acknowledged),
        ("ok", verdict.ok),
        *((kind, verdict.counts[kind]) for kind in ("lost", "duplicated", "reordered", "unseen")),
        ("recovered (no answer, archived)", verdict.recovered),
        ("unknown (no answer)", verdict.unknown),
        ("aborted", verdict.aborted),
        ("aborted, but archived", verdict.counts["aborted_archived"]),
    ]
    told = {kind for kind, _ in records} | {"aborted_archived"}
    ledger = [
        ("entries", verdict.entries),
        ("objects", verdict.objects),
        ("offsets", verdict.offsets),
        ("of these, gaps", verdict.gaps),
        *((kind.replace("_", " "), verdict.counts[kind]) for kind in FINDINGS if kind not in told),
    ]
    run = [
        ("passed", "yes" if result.passed else "NO"),
        ("seed", result.seed),
        ("command", f"`{result.command}`"),
        ("stack", result.stack),
        *result.versions.items(),
        ("workers", f"{result.workers}, {result.processes} processes in all"),
        ("partitions at the end", result.partitions),
        ("kills -9", result.kills),
        ("records/s while tortured", f"{result.records_per_second:.0f}"),
        *((f"seconds, {name}", f"{seconds:.0f}") for name, seconds in result.seconds.items()),
        ("objects opened by", result.opened_by),
        ("`strongroom verify`", "clean" if result.verify.get("clean") else "NOT CLEAN"),
    ]
    parts = [
        _table("run", "", run),
        _table("records", "count", records),
        _table("ledger", "count", ledger),
        _table("fault, where it took effect", "count", sorted(result.faults.items())),
        _table("ended by themselves, started again", "times", sorted(result.ended_by_themselves.items())),
    ]
    for kind, examples in verdict.examples.items():
        parts.append(f"{kind}:\n" + "\n".join(f"- {example}" for example in examples))
    parts += [f"HARNESS FAILED: {failure}" for failure in result.failures]
    return "\n\n".join(parts) + "\n"


def _table(first: str, second: str, rows: list[tuple[str, Any]]) -> str:
    lines = [(first, second), *((name, str(value)) for name, value in rows)]
    width = max(len(name) for name, _ in lines)
    shown = [f"| {name:<{width}} | {value} |" for name, value in lines]
    return "\n".join([shown[0], f"| {'-' * width} | --- |", *shown[1:]])
