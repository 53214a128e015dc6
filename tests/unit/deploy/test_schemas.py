"""Every manifest is valid against the API's own schemas, unknown fields included."""

import copy
from collections.abc import Iterator

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest
import yaml

from tests.unit.deploy.manifests import BASE, Json, read_base

OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()


def documents() -> Iterator[Json]:
    for path in sorted(BASE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("document", [*documents()], ids=lambda document: document["kind"])
def test_a_manifest_is_valid(document: Json, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schemas_refuse_a_field_that_does_not_exist() -> None:
    workload = copy.deepcopy(read_base().workload)
    workload["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(workload, NEWEST, strict=True)
