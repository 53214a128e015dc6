"""Memory is bounded by settings, whatever the number of workspaces: 100,000 of them and a whale."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.memory.archiving import Took
from workers import memory
from workers.settings import Settings

MIB = memory.MIB
ROOT = Path(__file__).parents[2]


def archived(folder: Path, workspaces: int, settings: Settings) -> Took:
    sizes = (workspaces, settings.buffer_bytes_max, settings.flush_bytes)
    done = subprocess.run(
        [sys.executable, "-m", "tests.memory.archiving", str(folder), *map(str, sizes)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Took)


def test_it_stays_within_what_the_settings_allow(tmp_path: Path) -> None:
    settings = Settings(buffer_bytes_max=64 * MIB, flush_bytes=16 * MIB)
    took = archived(tmp_path, 100_000, settings)
    assert took.accepted == took.records
    assert took.objects > 100_000
    # what a program without Kafka and S3 has loaded is less than a worker's
    within = memory.bound(settings, keys=100_000, workspaces=100_000) - memory.LOADED
    assert took.highest - took.loaded <= within
    # nor is the bound so wide that it would say nothing
    assert took.highest - took.loaded >= within / 2


def test_kubernetes_grants_what_the_defaults_may_take() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes/base/archive.yaml").read_text())
    (worker,) = (
        container
        for document in documents
        if document["kind"] == "StatefulSet"
        for container in document["spec"]["template"]["spec"]["containers"]
    )
    granted = worker["resources"]["limits"]["memory"]
    assert granted.endswith("Gi")
    assert int(granted.removesuffix("Gi")) << 30 >= memory.bound(
        Settings(), keys=1_000_000, workspaces=100_000
    )


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"sys/fs/cgroup/memory.max": "2147483648\n"}, 2 << 30),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n"}, 1 << 30),
    ],
)
def test_a_containers_limit_is_read(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    assert memory.limit(tmp_path) == limit
