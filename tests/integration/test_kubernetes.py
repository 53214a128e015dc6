"""What kustomize makes of the base keeps to the rules that the unit tests hold its files to.

Where Go could not build kustomize (tests/stack/up.sh), the files as they stand are judged instead, with a
warning that says so.
"""

import os
import subprocess
import warnings

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import yaml

from tests.unit.deploy.manifests import BASE, COMPONENTS, Json, Manifests, of_component, read_base
from tests.unit.deploy.rules import findings


def rendered() -> list[Json]:
    kustomize = os.environ.get("KUSTOMIZE")
    if kustomize is None:
        warnings.warn(
            "no kustomize here: the base was judged as its files stand, not as it renders", stacklevel=1
        )
        bases = [read_base(component) for component in COMPONENTS]
        maps: list[Json] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            for base in bases
            for name, data in base.settings.items()
        ]
        return [*(each for base in bases for each in base.resources.values()), *maps]
    built = subprocess.run([kustomize, "build", str(BASE)], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(built.stdout))


def test_the_rendered_base_is_valid_and_keeps_to_every_rule() -> None:
    documents = rendered()
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    for component in COMPONENTS:
        keeps_to_every_rule(component, of_component(component, documents))


def keeps_to_every_rule(component: str, documents: list[Json]) -> None:
    base = read_base(component)
    maps = [document for document in documents if document["kind"] == "ConfigMap"]
    resources = {document["kind"]: document for document in documents if document["kind"] != "ConfigMap"}
    settings = {document["metadata"]["name"]: document["data"] for document in maps}
    assert findings(Manifests(component, base.kustomization, resources, settings)) == []
    assert list(settings.values()) == list(base.settings.values())
    assert resources.keys() == base.resources.keys()
