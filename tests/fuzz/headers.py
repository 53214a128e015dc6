"""Fuzzes what reads headers, wrapped keys and rows: `python -m tests.fuzz.headers --seconds 60`.

With atheris (libFuzzer, guided by the code that an input reaches) where it is installed, else with
Hypothesis' byte strings. Starts from the vectors. Ends with 0, or with what was found and its traceback.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from tests.fuzz.byte_strings import tried
from tests.fuzz.target import seeds
from tests.fuzz.weakened import weakened

LONGEST = 4096  # bytes of an input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--corpus", type=Path, help="a folder of inputs to start from, and to keep new ones in"
    )
    parser.add_argument("--engine", choices=["atheris", "hypothesis"], default=default_engine())
    parser.add_argument(
        "--without", default="", help="takes out a check of the code (tests/unit/sealing/checks.py)"
    )
    options = parser.parse_args()
    print(f"engine {options.engine}, {options.seconds} s, seed {options.seed}", flush=True)
    if options.engine == "atheris":
        sys.exit(guided(options.seconds, options.seed, options.corpus, options.without))
    by_byte_strings(options.seconds, options.seed, options.without)


def default_engine() -> str:
    return "atheris" if importlib.util.find_spec("atheris") else "hypothesis"


def guided(seconds: int, seed: int, corpus: Path | None, without: str) -> int:
    """In a process of its own, which libFuzzer ends as it likes; its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start"
        kept = corpus or Path(folder) / "kept"
        for path in (start, kept):
            path.mkdir(parents=True, exist_ok=True)
        for data in seeds():
            (start / sha256(data).hexdigest()).write_bytes(data)
        flags = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={LONGEST}", "-print_final_stats=1"]
        command = [sys.executable, "-m", "tests.fuzz.guided", without, *flags, f"-artifact_prefix={folder}/"]
        return subprocess.run([*command, str(kept), str(start)], check=False).returncode


def by_byte_strings(seconds: int, seed: int, without: str) -> None:
    deadline = time.monotonic() + seconds
    count = 0
    with weakened(without):
        while time.monotonic() < deadline:
            count += tried(seed + count)
    print(f"{count} inputs, nothing found")


if __name__ == "__main__":
    main()
