"""The folder of one run of the embedded stack: gone after a good end, kept with its logs after a bad one."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from workers.cli import output


@contextmanager
def run_folder() -> Iterator[Path]:
    """SIGTERM ends the block as Ctrl-C does: with exit code 143, after everything in it was closed."""
    folder = Path(tempfile.mkdtemp(prefix="strongroom-"))
    signal.signal(signal.SIGTERM, _leave)
    try:
        yield folder
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(folder)
        raise
    except BaseException:
        output.say(f"logs are kept in {folder}")
        raise
    shutil.rmtree(folder)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
