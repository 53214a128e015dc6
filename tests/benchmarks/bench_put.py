"""What one conditional PUT costs the client in CPU, by who makes it: the numbers behind docs/decisions/002.

    python -m tests.benchmarks.bench_put [--rounds 9] [--endpoint URL]

Without an endpoint the server is a null one, in a process of its own: it reads the request, keeps nothing and
answers 200. All take turns in short slices, and the median slice counts: so the ratios of one run hold on a
busy machine too, while absolute times compare with nothing. obstore takes part where it is installed.
"""

import argparse
import asyncio
import hashlib
import multiprocessing
import os
import re
import resource
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import aioboto3  # type: ignore[import-untyped]  # ships no types
import aiohttp
import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # ships no types
from yarl import URL

from workers.store.port import IF_ABSENT
from workers.store.s3 import open_s3

ACCESS, SECRET, REGION, BUCKET = "test", "testtest", "us-east-1", "bench-put"
SIZES = {"20 KB": 20_000, "50 KB": 50_000, "1 MiB": 1 << 20}
AT_ONCE = 8
SLICE = 0.25  # seconds
METADATA = {"x-amz-i": "0" * 48, "x-amz-t": '{"aws:x-amz-cek-alg":"115"}' + " " * 60 + "."}

Put = Callable[[str, bytes], Awaitable[object]]


class _Null(asyncio.Protocol):
    """Answers 200 to each request once its body is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._head, self._left = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self._head, self._left = b"", (int(length[1]) if length else 0) - len(rest)
            if b"100-continue" in head:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._left <= 0:
            self._left = 0
            self._transport.write(b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\n\r\n')


def _serve(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Null, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


async def _open_aioboto3(endpoint: str, opened: AsyncExitStack) -> Put:
    client = await opened.enter_async_context(
        aioboto3.Session().client(
            "s3", endpoint_url=endpoint, region_name=REGION, config=Config(retries={"total_max_attempts": 1})
        )
    )

    async def put(key: str, body: bytes) -> object:
        return await client.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*", Metadata=METADATA)

    return put


async def _open_botocore_signer(endpoint: str, opened: AsyncExitStack) -> Put:
    class Signer(S3SigV4Auth):  # type: ignore[misc]  # ships no types
        def payload(self, request: Any) -> str:
            return str(request.context["digest"])

    signer = Signer(Credentials(ACCESS, SECRET), "s3", REGION)
    session = await opened.enter_async_context(
        aiohttp.ClientSession(skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"))
    )

    async def put(key: str, body: bytes) -> object:
        url = f"{endpoint}/{BUCKET}/{key}"
        request = AWSRequest("PUT", url)
        request.context["digest"] = hashlib.sha256(body).hexdigest()
        request.headers["If-None-Match"] = "*"
        for name, value in METADATA.items():
            request.headers[f"x-amz-meta-{name}"] = value
        signer.add_auth(request)
        async with session.put(
            URL(url, encoded=True), data=body, headers=dict(request.headers.items())
        ) as response:
            assert response.status == 200, await response.text()
            return response.headers["ETag"]

    return put


async def _open_strongroom(endpoint: str, opened: AsyncExitStack) -> Put:
    store = await open_s3(BUCKET, endpoint=endpoint, region=REGION)
    opened.push_async_callback(store.close)

    async def put(key: str, body: bytes) -> object:
        return await store.put(key, body, condition=IF_ABSENT, metadata=METADATA)

    return put


async def _open_obstore(endpoint: str, opened: AsyncExitStack) -> Put:
    obstore: Any = import_module("obstore")  # optional
    store_class: Any = import_module("obstore.store").S3Store

    store = store_class(
        BUCKET,
        endpoint=endpoint,
        region=REGION,
        access_key_id=ACCESS,
        secret_access_key=SECRET,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
        checksum_algorithm="SHA256",
    )

    async def put(key: str, body: bytes) -> object:
        return await obstore.put_async(store, key, body, mode="create", attributes=METADATA)

    return put


PUTTERS = {
    "aioboto3": _open_aioboto3,
    "aiohttp + botocore's signer": _open_botocore_signer,
    "Store.put": _open_strongroom,
    **({"obstore": _open_obstore} if find_spec("obstore") else {}),
}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _slice(put: Put, body: bytes, name: str) -> float:
    """CPU ms a PUT over this process's threads."""
    until, count = time.monotonic() + SLICE, 0

    async def one(worker: int) -> None:
        nonlocal count
        while time.monotonic() < until:
            count += 1
            await put(f"{name}/{worker}/{time.monotonic_ns()}", body)

    begin = _cpu()
    await asyncio.gather(*(one(worker) for worker in range(AT_ONCE)))
    return (_cpu() - begin) * 1000 / count


async def _run(endpoint: str, rounds: int) -> None:
    print(f"{endpoint}: CPU ms a PUT (times Store.put's), {AT_ONCE} at once, median of {rounds} slices")
    async with AsyncExitStack() as opened:
        putters = {name: await open_(endpoint, opened) for name, open_ in PUTTERS.items()}
        for size, length in SIZES.items():
            body = os.urandom(length)
            slices: dict[str, list[float]] = {name: [] for name in putters}
            for _ in range(rounds + 1):
                for number, (name, put) in enumerate(putters.items()):
                    slices[name].append(await _slice(put, body, f"{number}-{length}"))
            costs = {
                name: statistics.median(taken[1:]) for name, taken in slices.items()
            }  # the first warms up
            said = (f"{name} {cost:.3f} ({cost / costs['Store.put']:.2f}x)" for name, cost in costs.items())
            print(f"{size:>6}: {'  '.join(said)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--endpoint", help="a running S3 server with credentials test/testtest; default: null server"
    )
    arguments = parser.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
    if arguments.endpoint:
        client = boto3.client("s3", endpoint_url=arguments.endpoint, region_name=REGION)
        if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=BUCKET)
        asyncio.run(_run(arguments.endpoint, arguments.rounds))
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
        server.start()
        asyncio.run(_run(f"http://127.0.0.1:{listener.getsockname()[1]}", arguments.rounds))
        server.terminate()


if __name__ == "__main__":
    main()
