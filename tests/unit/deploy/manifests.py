"""Reads what deploy/ holds, without kustomize or Docker: YAML, the settings file, the Dockerfile's lines."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parents[3]
DEPLOY = PROJECT / "deploy"
BASE = DEPLOY / "kubernetes" / "base"
COMPONENTS = ("archive", "steward", "retain", "judge", "keyservice")

Json = dict[str, Any]


class Manifests(NamedTuple):
    """Of one component: `resources` by kind, and the ConfigMaps that kustomize makes: name → variables."""

    component: str
    kustomization: Json
    resources: dict[str, Json]
    settings: dict[str, dict[str, str]]

    @property
    def workload(self) -> Json:
        return self.resources.get("StatefulSet") or self.resources["Deployment"]

    @property
    def pod(self) -> Json:
        pod: Json = self.workload["spec"]["template"]["spec"]
        return pod

    @property
    def pod_labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.workload["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def containers(self) -> list[Json]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]


def variables(env_file: Path) -> dict[str, str]:
    """NAME=value lines, as kustomize reads them."""
    lines = (line.strip() for line in env_file.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def of_component(component: str, documents: Iterable[Json]) -> list[Json]:
    """A ConfigMap's name may carry a hash behind the component's."""
    ours = f"strongroom-{component}"
    return [
        document
        for document in documents
        if document["metadata"]["name"] in ("strongroom", ours)
        or (document["kind"] == "ConfigMap" and document["metadata"]["name"].startswith(f"{ours}-"))
    ]


def read_base(component: str = "archive", folder: Path = BASE) -> Manifests:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    documents = [
        document
        for name in kustomization["resources"]
        for document in yaml.safe_load_all((folder / name).read_text())
    ]
    settings = {
        generated["name"]: {k: v for name in generated["envs"] for k, v in variables(folder / name).items()}
        for generated in kustomization["configMapGenerator"]
        if generated["name"] == f"strongroom-{component}"
    }
    resources = {document["kind"]: document for document in of_component(component, documents)}
    return Manifests(component, kustomization, resources, settings)


def read_compose() -> Json:
    compose: Json = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return compose


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile and their arguments, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [(instruction, " ".join(arguments.split())) for instruction, arguments in lines]
