"""The ladder takes the best rung there is, honours a pin, and says what to install instead of skipping."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.stack.ladder import NoStack, kafka_rung, s3_rung


class NoEngine:
    version = None

    def has(self, image: str) -> bool:
        return False


class EngineWith:
    version = "28.0"

    def __init__(self, *images: str) -> None:
        self._images = images

    def has(self, image: str) -> bool:
        return image in self._images


@pytest.fixture
def native(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a machine with java, a broker's jars and versitygw."""
    for name in ("java", "versitygw"):
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "kafka_2.13-4.3.1.jar").touch()
    return {"PATH": str(tmp_path), "KAFKA_LIBS": str(tmp_path), "VERSITYGW": str(tmp_path / "versitygw")}


def test_somebodys_own_services_come_first(native: Mapping[str, str]) -> None:
    env = {**native, "TEST_KAFKA_BOOTSTRAP": "k:1", "TEST_S3_ENDPOINT": "http://s", "KAFKA_IMAGE": "kafka"}
    assert kafka_rung(env, EngineWith("kafka"))[:2] == ("external", "k:1")
    assert s3_rung(env, EngineWith())[:2] == ("external", "http://s")


def test_containers_come_before_child_processes(native: Mapping[str, str]) -> None:
    env = {**native, "KAFKA_IMAGE": "kafka", "S3_IMAGE": "s3"}
    assert kafka_rung(env, EngineWith("kafka", "s3"))[:2] == ("container", "kafka")
    assert s3_rung(env, EngineWith("kafka", "s3"))[:2] == ("container", "s3")


@pytest.mark.parametrize("engine", [NoEngine(), EngineWith("another")])
def test_without_the_image_it_is_child_processes(native: Mapping[str, str], engine: EngineWith) -> None:
    env = {**native, "KAFKA_IMAGE": "kafka", "S3_IMAGE": "s3"}
    assert kafka_rung(env, engine).name == "native"
    assert s3_rung(env, engine).name == "native"


def test_without_versitygw_s3_is_moto_and_says_what_that_means() -> None:
    rung = s3_rung({}, NoEngine())
    assert rung.name == "moto"
    assert "moto's terms" in rung.how


def test_without_anything_it_says_what_to_install() -> None:
    with pytest.raises(NoStack, match=r"no Docker engine answers.*Run tests/stack/up\.sh.*JDK 17"):
        kafka_rung({}, NoEngine())


@pytest.mark.parametrize(
    ("pin", "complaint"),
    [
        ("external", "TEST_KAFKA_BOOTSTRAP is not set"),
        ("container", "Docker has no image 'kafka'"),
        ("docker", "names no rung"),
    ],
)
def test_a_pinned_rung_that_is_missing_is_an_error_whatever_else_there_is(
    native: Mapping[str, str], pin: str, complaint: str
) -> None:
    with pytest.raises(NoStack, match=complaint):
        kafka_rung({**native, "KAFKA_IMAGE": "kafka", "TEST_STACK": pin}, EngineWith())


def test_a_pin_passes_over_a_better_rung(native: Mapping[str, str]) -> None:
    env = {**native, "KAFKA_IMAGE": "kafka", "TEST_KAFKA_BOOTSTRAP": "k:1", "TEST_STACK": "native"}
    assert kafka_rung(env, EngineWith("kafka")).name == "native"
