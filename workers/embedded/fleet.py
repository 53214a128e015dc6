"""A whole small fleet on the embedded stack: root key, topics, roles, each role a process of its own."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from workers import opening
from workers.embedded.child import Broken, Child, free_port
from workers.embedded.stack import Stack, embedded_stack
from workers.sealing.root import FileRoot
from workers.settings import Settings
from workers.settings_checks import variable
from workers.stream.admin import create_topics

READY_TIMEOUT = 30.0  # seconds
EXIT_MARGIN = 10.0  # seconds that a worker may take to stop beyond its last flush


OTHERS = ("judge", "steward")  # the roles that stand beside the archive


class Other(NamedTuple):
    """A process of another role."""

    name: str
    child: Child
    port: int  # of its metrics and health


@dataclass(frozen=True, slots=True)
class Fleet:
    """`settings` are those of its processes, and, while it stands, of this one."""

    stack: Stack
    settings: Settings
    archive: Child
    environ: Mapping[str, str]  # what other processes need to use it
    others: tuple[Other, ...] = ()

    def check(self) -> None:
        """Raises Broken if a process has ended."""
        self.stack.check()
        for child in self._children():
            child.check()

    async def ready(self) -> None:
        """Returns when the archive worker has its partitions. Raises Broken."""
        await self.archive.until(lambda: _is_ready(self.settings.http_port), READY_TIMEOUT)

    async def policy_version(self, topic: str) -> int:
        """Offsets of a policy topic that the worker has applied."""
        return int((await self._metrics()).get(("strongroom_policy_version", topic), 0))

    async def archived(self) -> int:
        """Records that the worker has committed to the ledger since it started."""
        samples = await self._metrics()
        return int(sum(value for (name, _), value in samples.items() if name == "strongroom_records_total"))

    async def stop(self) -> None:
        """SIGTERM to the workers. Raises Broken unless they end well."""
        for child in self._children():
            code = await child.stop(self.settings.shutdown_timeout + EXIT_MARGIN)
            if code != 0:
                raise Broken(f"{child.name} ended with exit code {code} after SIGTERM; {child.last_words()}")

    def _children(self) -> tuple[Child, ...]:
        return (*(other.child for other in self.others), self.archive)

    async def _metrics(self) -> dict[tuple[str, str], float]:
        """(name, values of its labels, joined) → value."""
        text = await _get(f"http://127.0.0.1:{self.settings.http_port}/metrics")
        return {
            (sample.name, " ".join(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@asynccontextmanager
async def embedded_fleet(
    folder: Path, *, flush_interval: float, all_roles: bool = False
) -> AsyncIterator[Fleet]:
    """Yields while the archive worker starts, with `all_roles` OTHERS too. All of it ends with the block."""
    async with embedded_stack(folder) as stack:
        ours = {variable("flush_interval"): str(flush_interval)}
        with environment({**stack.environ, **ours}):
            settings = Settings.load()
            FileRoot.create(opening.needed(settings, "root_key_file"))
            await create_topics(opening.kafka(settings), opening.topic_specs(settings))
            archive = _role("archive", folder, os.environ)
            others: list[Other] = []
            try:
                for name in OTHERS if all_roles else ():
                    port = free_port()
                    environ = {**os.environ, variable("http_port"): str(port)}
                    others.append(Other(name, _role(name, folder, environ), port))
                yield Fleet(stack, settings, archive, stack.environ, tuple(others))
            finally:
                for child in (archive, *(other.child for other in others)):
                    child.kill()


def _role(name: str, folder: Path, environ: Mapping[str, str]) -> Child:
    return Child(f"worker-{name}", [sys.executable, "-m", "workers", "worker", name], folder, environ)


@contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[None]:
    """This process's environment is `environ` meanwhile: botocore and our settings read nothing else."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _is_ready(port: int) -> bool:
    try:
        await _get(f"http://127.0.0.1:{port}/readyz")
    except aiohttp.ClientError:
        return False
    return True


async def _get(url: str) -> str:
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(url) as answer:
        return await answer.text()
