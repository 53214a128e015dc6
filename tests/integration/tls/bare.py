"""A server of Python's own that shakes hands, notes what it is sent, and answers nothing."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def bare_server(context: ssl.SSLContext) -> Iterator[tuple[int, list[bytes]]]:
    """Its port on 127.0.0.1, and what it was sent once hands were shaken.

    A thread, not asyncio, which hangs up on whom it refuses without an alert.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    thread = threading.Thread(target=_serve, args=(listening, context, seen))
    thread.start()
    try:
        yield listening.getsockname()[1], seen
    finally:
        listening.shutdown(socket.SHUT_RDWR)  # wakes accept
        thread.join()
        listening.close()


def _serve(listening: socket.socket, context: ssl.SSLContext, seen: list[bytes]) -> None:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        accepted.settimeout(5)
        with suppress(OSError), context.wrap_socket(accepted, server_side=True) as opened:
            if sent := opened.recv(65536):
                seen.append(sent)
