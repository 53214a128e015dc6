"""Segment's browser SDK as npm has it, for tests: one version, by its digest."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.stack.ladder import STACK, NoStack

NAME, VERSION = "@segment/analytics-next", "1.84.3"
# dist.integrity of the registry
SHA512 = "5l7cPBzScxhfJ0zdcKQI4daDvMIWWUk7hClT1xGRelnHUltIEoQ9w8+ZpFPoWJMpX8D7IA1nVAfJbpiKi3XaKw=="


def segment_sdk() -> Path:
    """The folder of its build for browsers (UMD); fetched once. Raises NoStack where it can't be had."""
    folder = STACK / "segment-sdk" / VERSION
    if not folder.exists():
        _fetch(folder)
    return folder / "package" / "dist" / "umd"


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NoStack(f"{NAME} comes from npm, and there is none here. Install Debian's package `npm`")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as here:
        subprocess.run(
            [npm, "pack", "--silent", f"{NAME}@{VERSION}"],
            cwd=here,
            check=True,
            capture_output=True,
            timeout=120,
        )
        (package,) = Path(here).glob("*.tgz")
        found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        if found != SHA512:
            raise NoStack(f"{NAME} {VERSION} has the digest {found}, not {SHA512}: it is another one")
        whole = Path(here) / "whole"
        with tarfile.open(package) as archive:
            # a second look, where there is one (from Python 3.11.4 on): the digest has been compared
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(whole)
        whole.rename(folder)
