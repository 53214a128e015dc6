"""`make torture`: one run from the command line, with a broker and an S3 server of its own."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tests.integration.sealing.environment import official_python
from tests.stack import ladder
from tests.stack.kafka import kafka_on
from tests.stack.s3 import ACCESS_KEY, REGION, SECRET_KEY, s3_on
from tests.torture.report import text
from tests.torture.rig import Plan, Rig

SECONDS_PER_KILL = 8.5  # measured; decides at which rate the records are spread over the run


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 where nothing was lost, and every kind of fault took effect."""
    asked = _arguments(arguments)
    expected = max(70.0, asked.kills * SECONDS_PER_KILL)
    plan = Plan(
        seed=asked.seed,
        kills=asked.kills,
        records=asked.records,
        seconds=asked.seconds or 2 * expected,
        rate=asked.records / min(expected, asked.seconds or expected),
        flush_interval=asked.flush_interval,
    )
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    os.environ.update(AWS_DEFAULT_REGION=REGION, AWS_EC2_METADATA_DISABLED="true")
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    print(f"seed {plan.seed}, logs in {folder}", flush=True)
    kafka, s3 = kafka_on(ladder.kafka()), s3_on(ladder.s3())
    try:
        kafka.start()
        s3.start()
        rig = Rig(plan, kafka, s3, folder, official_python(ladder.PROJECT), _Progress().say)
        command = f"make torture KILLS={asked.kills} RECORDS={asked.records} SEED={asked.seed}"
        if asked.seconds:
            command += f' ARGS="--seconds {asked.seconds:.0f}"'
        result = rig.run(command)
    finally:
        kafka.close()
        s3.close()
    result.versions.update(_versions())
    words = text(result)
    print(words)
    if asked.evidence:
        asked.evidence.mkdir(parents=True, exist_ok=True)
        out = asked.evidence / "torture"
        out.with_suffix(".json").write_text(json.dumps(result.as_json(), indent=1) + "\n")
        out.with_suffix(".md").write_text(f"# Torture\n\n{words}")
    return 0 if result.passed else 1


class _Progress:
    """One line every ten seconds, and each failure."""

    def __init__(self) -> None:
        self._said = 0.0

    def say(self, words: str) -> None:
        if "FAILED" in words or time.monotonic() - self._said >= 10:
            self._said = time.monotonic()
            print(words, flush=True)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.torture.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides which faults, and when")
    parser.add_argument("--kills", type=int, default=12, help="of workers, by kill -9")
    parser.add_argument("--records", type=int, default=200_000, help="at the least")
    parser.add_argument("--seconds", type=float, help="end the torture after so long at the latest")
    parser.add_argument("--flush-interval", type=float, default=1.0, help="seconds, of the workers")
    parser.add_argument("--evidence", type=Path, help="folder for the result, to read and as JSON")
    return parser.parse_args(arguments)


def _versions() -> dict[str, str]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ladder.PROJECT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {"strongroom": f"{version('strongroom')} {commit}".strip(), "python": sys.version.split()[0]}


if __name__ == "__main__":
    sys.exit(main())
