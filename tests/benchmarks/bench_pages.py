"""What a page of 1,000 costs the client in CPU, listed and deleted, by who asks (docs/decisions/002).

    python -m tests.benchmarks.bench_pages [--rounds 9]

The server is a null one in a process of its own: it reads the request and answers with one and the same page.
Both take turns, and the median round counts: so the ratio of one run holds on a busy machine too.
"""

import argparse
import asyncio
import multiprocessing
import os
import socket
import statistics
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aioboto3  # type: ignore[import-untyped]  # ships no types
from aiohttp import web
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

from tests.benchmarks.bench_put import ACCESS, BUCKET, REGION, SECRET, _cpu
from workers.store.documents import NAMESPACE
from workers.store.port import Version
from workers.store.s3 import open_s3

PAGE = 1000
EACH = 5  # pages a turn
KEYS = [f"data/ws=w0001/src=web/day=2026-09-01/accepted/{number:064x}.zst" for number in range(PAGE)]
VERSIONS = "".join(
    f"<Version><ETag>&#34;{number:032x}&#34;</ETag><IsLatest>true</IsLatest>"
    f"<Key>{key.replace('/', '%2F').replace('=', '%3D')}</Key>"
    "<LastModified>2026-11-26T03:00:00.120Z</LastModified><Owner><ID>o</ID></Owner><Size>100</Size>"
    f"<StorageClass>STANDARD</StorageClass><VersionId>{number:032x}</VersionId></Version>"
    for number, key in enumerate(KEYS)
)
LISTED = (
    f'<ListVersionsResult xmlns="{NAMESPACE}"><EncodingType>url</EncodingType>'
    f"<IsTruncated>false</IsTruncated>{VERSIONS}</ListVersionsResult>"
)
DELETED = f'<DeleteResult xmlns="{NAMESPACE}"/>'

Ask = Callable[[], Awaitable[object]]


async def _answer(request: web.BaseRequest) -> web.Response:
    await request.read()
    return web.Response(text=DELETED if request.method == "POST" else LISTED, content_type="application/xml")


def _serve(listener: socket.socket) -> None:
    async def serve() -> None:
        runner = web.ServerRunner(web.Server(_answer))
        await runner.setup()
        await web.SockSite(runner, listener).start()
        await asyncio.Event().wait()

    asyncio.run(serve())


async def _askers(endpoint: str, opened: AsyncExitStack) -> dict[str, dict[str, Ask]]:
    """By what is asked, who asks."""
    client = await opened.enter_async_context(
        aioboto3.Session().client(
            "s3", endpoint_url=endpoint, region_name=REGION, config=Config(retries={"total_max_attempts": 1})
        )
    )
    store = await open_s3(BUCKET, endpoint=endpoint, region=REGION)
    opened.push_async_callback(store.close)
    versions = [Version(key, f"{number:032x}", True, False, 100) for number, key in enumerate(KEYS)]
    things = [{"Key": one.key, "VersionId": one.version_id} for one in versions]

    async def listed() -> object:
        found = [one async for one in store.versions("data/")]
        assert found == versions
        return found

    return {
        "1,000 versions listed": {
            "aioboto3": lambda: client.list_object_versions(Bucket=BUCKET, Prefix="data/"),
            "Store": listed,
        },
        "1,000 versions deleted": {
            "aioboto3": lambda: client.delete_objects(
                Bucket=BUCKET, Delete={"Objects": things, "Quiet": True}
            ),
            "Store": lambda: store.purge(versions),
        },
    }


async def _run(endpoint: str, rounds: int) -> None:
    async with AsyncExitStack() as opened:
        for what, askers in (await _askers(endpoint, opened)).items():
            taken: dict[str, list[float]] = {name: [] for name in askers}
            for _ in range(rounds + 1):
                for name, ask in askers.items():
                    begun = _cpu()
                    for _ in range(EACH):
                        await ask()
                    taken[name].append((_cpu() - begun) * 1000 / EACH)
            costs = {name: statistics.median(each[1:]) for name, each in taken.items()}  # the first warms up
            said = (f"{name} {cost:.1f} ({cost / costs['Store']:.1f}x)" for name, cost in costs.items())
            print(f"{what}, CPU ms: {'  '.join(said)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds: int = parser.parse_args().rounds
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
        server.start()
        asyncio.run(_run(f"http://127.0.0.1:{listener.getsockname()[1]}", rounds))
        server.terminate()


if __name__ == "__main__":
    main()
