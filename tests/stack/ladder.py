"""Decides, once a run, which Kafka and which S3-protocol server the tests run against, and says it in words.

| rung | taken when |
|---|---|
| external | TEST_KAFKA_BOOTSTRAP is set (and TEST_S3_ENDPOINT, with its AWS_* credentials) |
| container | a Docker engine answers and has the image (tests/stack/up.sh builds or pulls it) |
| native | Java and the broker's jars, versitygw's binary: the same servers as child processes |
| moto | S3 only, where versitygw can't be had; crashes and checksums are then tested on moto's terms |

With none there is an error that says what to install, never a skip: leave the tests out by name, with
-m "not integration". TEST_STACK=external|container|native pins a rung for Kafka, its absence is an error.
"""

import functools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import docker  # type: ignore[import-untyped]  # ships no types
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]  # ships no types

PROJECT = Path(__file__).resolve().parents[2]
STACK = Path(os.environ.get("TEST_STACK_DIR") or PROJECT / ".stack").resolve()
PINS = ("", "external", "container", "native")


class NoStack(RuntimeError):
    """A server can't be had, or not used in this way; the message says what to do."""


class Rung(NamedTuple):
    """One service's place on the ladder: its name, what stands there (address, image, path), in words."""

    name: str
    what: str
    how: str


class Engine(Protocol):
    """What the ladder asks of a Docker engine."""

    @property
    def version(self) -> str | None:
        """None where no engine answers."""

    def has(self, image: str) -> bool: ...


class Docker:
    """The engine at DOCKER_HOST or at the default socket."""

    @functools.cached_property
    def version(self) -> str | None:
        try:
            self._client = docker.from_env(timeout=5)
            return str(self._client.version()["Version"])
        except DockerException:
            return None

    def has(self, image: str) -> bool:
        if not image or self.version is None:
            return False
        try:
            self._client.images.get(image)
        except ImageNotFound:
            return False
        return True


def kafka_rung(env: Mapping[str, str], engine: Engine) -> Rung:
    """The best rung for Kafka; raises NoStack, saying what to install, where there is none."""
    pin = env.get("TEST_STACK", "")
    if pin not in PINS:
        raise NoStack(f"TEST_STACK={pin!r} names no rung: use one of {', '.join(PINS[1:])}, or unset it")
    missing: list[str] = []
    if pin in ("", "external"):
        if bootstrap := env.get("TEST_KAFKA_BOOTSTRAP"):
            return Rung("external", bootstrap, bootstrap)
        missing.append("TEST_KAFKA_BOOTSTRAP is not set")
    if pin in ("", "container"):
        image = env.get("KAFKA_IMAGE", "")
        if engine.has(image):
            return Rung("container", image, f"docker {engine.version}, {image}")
        missing.append(f"Docker has no image {image!r}" if engine.version else "no Docker engine answers")
    if pin in ("", "native"):
        libs = env.get("KAFKA_LIBS", "")
        jars = sorted(Path(libs).glob("kafka_2.13-*.jar")) if libs else []
        if jars and shutil.which("java", path=env.get("PATH")):
            return Rung("native", libs, f"java, {jars[0].stem}")
        missing.append("there is no java" if jars else "there are no jars of a broker")
    raise NoStack(
        f"no real Kafka can be had: {', '.join(missing)} (TEST_STACK={pin or 'not set'}). "
        "Run tests/stack/up.sh (as root it installs Docker; without, it needs a Docker engine, or a JDK 17+ "
        "with Maven), or leave these tests out by name: -m 'not integration'"
    )


def s3_rung(env: Mapping[str, str], engine: Engine) -> Rung:
    """The best rung for S3. There always is one: moto comes with the test environment."""
    pin = env.get("TEST_STACK", "")
    endpoint, image, binary = env.get("TEST_S3_ENDPOINT"), env.get("S3_IMAGE", ""), env.get("VERSITYGW", "")
    if pin in ("", "external") and endpoint:
        return Rung("external", endpoint, endpoint)
    if pin in ("", "container") and engine.has(image):
        return Rung("container", image, f"versitygw, {image}")
    if binary and Path(binary).is_file():
        return Rung("native", binary, "versitygw")
    return Rung("moto", "", "no versitygw here: crash and checksum tests run on moto's terms")


def _learn_from_up() -> None:
    """Takes over what up.sh wrote for this run; a variable that is already set wins."""
    if (STACK / "env").is_file():
        for line in (STACK / "env").read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ.setdefault(name, value)
    # testcontainers reads these when it is imported. The first is needed where the machine is itself a
    # container; the last, as no image of its clean-up container may be to be had: down.sh removes by label
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")
    os.environ.setdefault("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


_learn_from_up()


_engine = Docker()


@functools.cache
def kafka() -> Rung:
    """This run's rung for Kafka; raises NoStack where there is none."""
    return kafka_rung(os.environ, _engine)


@functools.cache
def s3() -> Rung:
    """This run's rung for S3."""
    return s3_rung(os.environ, _engine)


def said() -> str:
    """Both, in words."""
    try:
        on_kafka = f"{kafka().name} ({kafka().how})"
    except NoStack as none:
        on_kafka = f"NONE: {none}"
    return f"s3 {s3().name} ({s3().how}), kafka {on_kafka}"
