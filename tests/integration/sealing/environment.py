"""An environment of its own for Amazon's client, which can't share one with our cryptography and aioboto3."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

CLIENT = "amazon-s3-encryption-client-python==4.0.0"


def official_python(project: Path) -> Path:
    """The interpreter of that environment, which is kept between runs under `project`."""
    folder = project / ".strongroom" / f"official-{CLIENT.partition('==')[2]}"
    python, whole = folder / "bin" / "python", folder / "installed"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not whole.exists():
            _install(folder, python)
            whole.touch()
    return python


def _install(folder: Path, python: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, CLIENT], check=True, env=environment, timeout=240)
