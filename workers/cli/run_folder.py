"""The folder of one run of the embedded stack: gone after a good end, kept with its logs after a bad one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.cli import output


@contextmanager
def run_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="strongroom-"))
    try:
        yield folder
    except (KeyboardInterrupt, GeneratorExit):
        shutil.rmtree(folder)
        raise
    except BaseException:
        output.say(f"logs are kept in {folder}")
        raise
    shutil.rmtree(folder)
