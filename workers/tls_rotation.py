"""A TLS context that follows its files: certificates are replaced without a restart."""

import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import structlog

from workers.errors import Fatal

log = structlog.get_logger()

LOOK_EVERY = 3.0  # seconds, at most: a look costs each file a stat

Clock = Callable[[], float]
Stamp = tuple[tuple[int, ...] | None, ...]


class RotatingContext(ssl.SSLContext):
    """Each new connection is made with what the files held when they were last seen to change.

    Connections that are open live on. Files that can't be used (half written, a certificate whose key is yet
    to come) change nothing but the log: they are read again at each look, until they can. A server must wrap
    each connection that it accepted, as asyncio does, not the socket that listens.

    `fill` gives a context all that it needs, from the files, and raises Fatal where it can't.
    `clock`: seconds. May be used from several threads.
    """

    def __new__(cls, protocol: int, *rest: object) -> "RotatingContext":
        return super().__new__(cls, protocol)

    def __init__(
        self,
        protocol: int,
        fill: Callable[[ssl.SSLContext], None],
        files: Iterable[Path | None],
        clock: Clock,
    ) -> None:
        self._make_with = protocol
        self._fill = fill
        self._files = tuple(file for file in files if file is not None)
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = clock()
        # taken before the files are read: a change meanwhile is seen at the next look
        self._read = self._stamp()
        self._refused: Stamp | None = None
        self._newest: ssl.SSLContext | None = None
        fill(self)  # what others ask of this context, as its versions and ciphers, is true of all that follow

    def wrap_socket(self, *given: Any, **named: Any) -> ssl.SSLSocket:  # Any: what ssl's own takes
        newest = self._current()
        return newest.wrap_socket(*given, **named) if newest else super().wrap_socket(*given, **named)

    def wrap_bio(self, *given: Any, **named: Any) -> ssl.SSLObject:  # Any: what ssl's own takes
        newest = self._current()
        return newest.wrap_bio(*given, **named) if newest else super().wrap_bio(*given, **named)

    def _current(self) -> ssl.SSLContext | None:
        """The newest context; None for this one itself."""
        with self._lock:
            if self._clock() - self._looked >= LOOK_EVERY:
                self._looked = self._clock()
                self._look()
            return self._newest

    def _look(self) -> None:
        stamp = self._stamp()
        if stamp == self._read:
            return
        files = [str(file) for file in self._files]
        fresh = ssl.SSLContext(self._make_with)
        try:
            self._fill(fresh)
        except Fatal as error:
            if stamp != self._refused:  # said once, not at each look
                log.error("tls_files_refused", files=files, error=error.message, remedy=error.remedy)
            self._refused = stamp
            return
        self._newest, self._read = fresh, stamp
        log.info("tls_files_reloaded", files=files)

    def _stamp(self) -> Stamp:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Differs once a file was written, replaced, made readable, or linked elsewhere, as Kubernetes does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
