"""A headless Chromium, spoken to by its DevTools protocol, and the web that it sees: servers of this test."""

import asyncio
import itertools
import json
import os
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from tests.stack.authority import Authority

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 60.0
ANSWER_S = 30.0

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class NoChromium(Exception):
    pass


def find_chromium() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise NoChromium(
            "this test compares with a real Chromium, and none is installed. Install Debian's package "
            "`chromium` (tests/stack/up.sh does so as root), or one of: " + ", ".join(NAMES)
        )
    return found


@asynccontextmanager
async def served(answer: Answer, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """The ports of two servers that answer alike: with TLS and without."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(folder, "web").issue("web", hosts=["localhost"]))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        ports = []
        for each in (context, None):
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=each)
            await site.start()
            assert site._server is not None
            ports.append(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined] # asyncio's Server has them
        yield ports[0], ports[1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium(*, tls: Sequence[int], plain: Sequence[int], to: tuple[int, int]) -> AsyncIterator["Tab"]:
    """A tab of a browser for which all hosts are here: ports `tls` are `to[0]`, ports `plain` `to[1]`."""
    program = find_chromium()
    rules = [f"MAP *:{port} 127.0.0.1:{to[0]}" for port in tls] + [
        f"MAP *:{port} 127.0.0.1:{to[1]}" for port in plain
    ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new",
            f"--user-data-dir={folder}",
            "--remote-debugging-port=0",
            "--ignore-certificate-errors",
            "--no-proxy-server",
            "--no-first-run",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,LocalNetworkAccessChecks",
            f"--host-resolver-rules={', '.join(rules)}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses its own sandbox to root
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(START_S):
                port = await _debugging_port(Path(folder) / "DevToolsActivePort", process)
            async with ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    pages = [each for each in await answer.json() if each["type"] == "page"]
                async with session.ws_connect(
                    pages[0]["webSocketDebuggerUrl"], max_msg_size=0, autoping=True
                ) as socket:
                    yield Tab(socket)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, 9)  # the group that start_new_session made: this browser's own
            await process.wait()


async def _debugging_port(file: Path, process: asyncio.subprocess.Process) -> int:
    while True:
        if process.returncode is not None:
            raise NoChromium(f"Chromium ended with {process.returncode} before it was ready")
        if lines := _lines(file):
            return int(lines[0])
        await asyncio.sleep(0.05)


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


class Tab:
    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._events: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol and its result."""
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(ANSWER_S):
            while True:
                message = await self._receive()
                if message.get("id") == number:
                    assert "error" not in message, f"{method}: {message['error']}"
                    result: dict[str, Any] = message["result"]
                    return result

    async def open(self, url: str) -> None:
        """Returns when the page has loaded."""
        self._events.clear()
        result = await self.call("Page.navigate", url=url)
        assert "errorText" not in result, f"{url}: {result['errorText']}"
        await self._loaded()

    async def click(self, selector: str) -> None:
        """On a link; returns when the page that it leads to has loaded."""
        self._events.clear()
        await self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")
        await self._loaded()

    async def _loaded(self) -> None:
        async with asyncio.timeout(ANSWER_S):
            while "Page.loadEventFired" not in self._events:
                await self._receive()

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, of its promise if it is one."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def _receive(self) -> dict[str, Any]:
        message = await self._socket.receive()
        assert message.type is WSMsgType.TEXT, f"Chromium hung up: {message}"
        value: dict[str, Any] = message.json()
        if "method" in value:
            self._events.append(value["method"])
        return value
