"""`python -m workers.embedded.leash COMMAND…` runs a command that ends when its parent does, however it ends.

Standard input is a pipe that only the parent holds open: its end-of-file means that the parent is gone.
SIGTERM is passed on; the command's exit code is ours.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PATIENCE = 5.0  # seconds between asking a command to end and ending it


def main(command: list[str]) -> int:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:  # noqa: S603 - our own command line

        def pass_on(number: int, frame: FrameType | None) -> None:
            child.send_signal(number)

        signal.signal(signal.SIGTERM, pass_on)
        threading.Thread(target=_let_go, args=(child,), daemon=True).start()
        code = child.wait()
    return code if code >= 0 else 128 - code


def _let_go(child: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(PATIENCE)
    child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
