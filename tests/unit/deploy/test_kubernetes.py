"""The Kubernetes base keeps to every rule, and every rule finds the fault that it is for."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.unit.deploy.manifests import BASE, COMPONENTS, Manifests, read_base
from tests.unit.deploy.rules import environment, findings
from workers.keyservice.listener import DRAIN
from workers.settings import Settings


@pytest.fixture
def base() -> Manifests:
    return copy.deepcopy(read_base())


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_base_keeps_to_every_rule(component: str) -> None:
    assert findings(read_base(component)) == []


def test_the_base_is_whole(base: Manifests) -> None:
    listed = {*base.kustomization["resources"], "kustomization.yaml"}
    assert {path.name for path in BASE.glob("*.yaml")} == listed
    assert set(base.resources) == {
        *("Namespace", "ServiceAccount", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy")
    }
    steward = read_base("steward")
    assert set(steward.resources) == {
        *("Namespace", "ServiceAccount", "Service", "Deployment", "NetworkPolicy")
    }
    keyservice = read_base("keyservice")
    assert set(keyservice.resources) == {
        *("Namespace", "ServiceAccount", "Service", "Deployment", "PodDisruptionBudget", "NetworkPolicy")
    }
    for each in (base, steward, keyservice):
        assert each.pod["serviceAccountName"] == each.resources["ServiceAccount"]["metadata"]["name"]
    assert len({each.pod["serviceAccountName"] for each in (base, steward, keyservice)}) == 3
    assert base.kustomization["namespace"] == base.resources["Namespace"]["metadata"]["name"]
    assert {container["image"] for container in base.containers} == {
        image["name"] for image in base.kustomization["images"]
    }


def test_a_worker_accepts_the_settings_of_the_base(base: Manifests, monkeypatch: pytest.MonkeyPatch) -> None:
    [container] = base.pod["containers"]
    for name, value in environment(base, container).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.instance_id == "from-the-cluster"
    assert settings.http_port == 8080


def test_a_steward_accepts_the_settings_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    steward = read_base("steward")
    for name, value in environment(steward, container(steward)).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.http_port, settings.sweep_delete, str(settings.root_key_file)) == (
        8080,
        False,
        "/keys/root.key",
    )


def test_a_judge_accepts_the_settings_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = read_base("judge")
    for name, value in environment(judge, container(judge)).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.http_port, str(settings.root_key_file)) == (8080, "/keys/root.key")


def test_a_retain_worker_accepts_the_settings_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    retain = read_base("retain")
    for name, value in environment(retain, container(retain)).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.http_port, settings.retain_delete, settings.root_key_file) == (8080, False, None)


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("STRONGROOM_RETAIN_DELETE", "true", "it deletes from the start"),
        ("STRONGROOM_ROOT_KEY_FILE", "/keys/root.key", "the root key is set"),
    ],
)
def test_a_fault_planted_in_the_retain_worker_is_found(name: str, value: str, finding: str) -> None:
    retain = copy.deepcopy(read_base("retain"))
    retain.settings["strongroom-retain"][name] = value
    assert finding in findings(retain)


def test_a_key_service_accepts_the_settings_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    keyservice = read_base("keyservice")
    for name, value in environment(keyservice, container(keyservice)).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.http_port, settings.keyservice_port, settings.allow_clear_text) == (8080, 8443, False)
    grace = keyservice.pod["terminationGracePeriodSeconds"]
    assert grace > settings.keyservice_timeout + DRAIN + 5  # and the sleep before


def container(m: Manifests) -> Any:
    return m.pod["containers"][0]


Plant = Callable[[Manifests], object]
FAULTS: dict[str, tuple[Plant, str]] = {
    "service of another app": (
        lambda m: m.resources["Service"]["spec"]["selector"].update({"app.kubernetes.io/component": "judge"}),
        "Service selects",
    ),
    "budget for everything": (
        lambda m: m.resources["PodDisruptionBudget"]["spec"]["selector"].update(matchLabels={}),
        "PodDisruptionBudget selects",
    ),
    "spread over other pods": (
        lambda m: m.pod["topologySpreadConstraints"][1].update(labelSelector={"matchLabels": {"a": "b"}}),
        "topology spread 1 selects",
    ),
    "policy for other pods": (
        lambda m: m.resources["NetworkPolicy"]["spec"]["podSelector"].update(matchLabels={"a": "b"}),
        "NetworkPolicy selects",
    ),
    "no such service": (lambda m: m.workload["spec"].update(serviceName="x"), "is no Service here"),
    "balanced service": (
        lambda m: m.resources["Service"]["spec"].update(clusterIP="10.0.0.1"),
        "not headless",
    ),
    "probe of no port": (
        lambda m: container(m)["livenessProbe"]["httpGet"].update(port="metrics"),
        "livenessProbe asks port 'metrics'",
    ),
    "probe of no path": (
        lambda m: container(m)["readinessProbe"]["httpGet"].update(path="/ready"),
        "readinessProbe asks /ready",
    ),
    "probe in clear text": (
        lambda m: m.settings["strongroom-archive"].update(STRONGROOM_HTTP_CERT_FILE="/tls/tls.crt"),
        "readinessProbe does not speak HTTPS",
    ),
    "policy for no port": (
        lambda m: m.resources["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0].update(port="metrics"),
        "NetworkPolicy admits port 'metrics'",
    ),
    "worker on another port": (
        lambda m: m.settings["strongroom-archive"].update(STRONGROOM_HTTP_PORT="9464"),
        "listens on 9464",
    ),
    "worker on loopback": (
        lambda m: m.settings["strongroom-archive"].pop("STRONGROOM_HTTP_HOST"),
        "where no probe reaches it",
    ),
    "misspelt setting": (
        lambda m: m.settings["strongroom-archive"].update(STRONGROOM_FLUSH_BYTE="1"),
        "STRONGROOM_FLUSH_BYTE is no setting",
    ),
    "misspelt variable": (
        lambda m: container(m)["env"].append({"name": "STRONGROOM_INSTANCE", "value": "x"}),
        "STRONGROOM_INSTANCE is no setting",
    ),
    "no such map": (
        lambda m: container(m)["envFrom"][0]["configMapRef"].update(name="x"),
        "no ConfigMap x is made",
    ),
    "service links": (lambda m: m.pod.pop("enableServiceLinks"), "enableServiceLinks is not false"),
    "one member for all": (
        lambda m: container(m)["env"][0].update(valueFrom={"fieldRef": {"fieldPath": "metadata.namespace"}}),
        "would fence each other",
    ),
    "killed in the last flush": (
        lambda m: m.pod.update(terminationGracePeriodSeconds=30),
        "the last flush may take 40.0 s",
    ),
    "root": (lambda m: m.pod["securityContext"].update(runAsUser=0), "runs as root"),
    "no seccomp": (lambda m: m.pod["securityContext"].pop("seccompProfile"), "no seccomp profile"),
    "init container may escalate": (
        lambda m: m.pod["initContainers"][0].update(securityContext={}),
        "root-key may gain privileges",
    ),
    "writable root": (
        lambda m: container(m)["securityContext"].update(readOnlyRootFilesystem=False),
        "archive may write to its root",
    ),
    "a capability": (
        lambda m: container(m)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
        "archive keeps capabilities",
    ),
    "host path": (
        lambda m: (
            m.pod["volumes"][2].update(hostPath={"path": "/"}, emptyDir=None)
            or m.pod["volumes"][2].pop("emptyDir")
        ),
        "volume tmp is of a kind",
    ),
    "lax namespace": (
        lambda m: m.resources["Namespace"]["metadata"]["labels"].clear(),
        "admits pods that are not restricted",
    ),
    "unmounted volume": (lambda m: m.pod["volumes"].append({"name": "x", "emptyDir": {}}), "volumes are"),
    "no /tmp": (lambda m: container(m)["volumeMounts"].pop(), "nothing can be written to /tmp"),
    "key outside": (
        lambda m: m.settings["strongroom-archive"].update(STRONGROOM_ROOT_KEY_FILE="/root.key"),
        "lies in no volume",
    ),
    "key open to others": (
        lambda m: m.pod["initContainers"][0]["command"].__setitem__(2, "0440"),
        "open to others (mode 0440)",
    ),
    "no limit": (lambda m: container(m)["resources"].pop("limits"), "archive has no limit of memory"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(base: Manifests, fault: str) -> None:
    plant, finding = FAULTS[fault]
    plant(base)
    assert any(finding in found for found in findings(base)), findings(base)


STEWARD_FAULTS: dict[str, tuple[Plant, str]] = {
    "key outside": (
        lambda m: m.settings["strongroom-steward"].update(STRONGROOM_ROOT_KEY_FILE="/root.key"),
        "lies in no volume",
    ),
    "key open to others": (
        lambda m: m.pod["initContainers"][0]["command"].__setitem__(2, "0440"),
        "open to others (mode 0440)",
    ),
    "two of it": (lambda m: m.workload["spec"].update(replicas=2), "there are 2 of it"),
    "two while it rolls": (
        lambda m: m.workload["spec"].update(strategy={"type": "RollingUpdate"}),
        "a roll-out runs two of it",
    ),
    "no dry run": (
        lambda m: m.settings["strongroom-steward"].update(STRONGROOM_SWEEP_DELETE="true"),
        "it deletes from the start",
    ),
    "the archive's service": (
        lambda m: m.resources["Service"]["spec"]["selector"].update(
            {"app.kubernetes.io/component": "archive"}
        ),
        "Service selects",
    ),
    "policy for the archive": (
        lambda m: m.resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].update(
            {"app.kubernetes.io/component": "archive"}
        ),
        "NetworkPolicy selects",
    ),
}


@pytest.mark.parametrize("fault", STEWARD_FAULTS)
def test_a_fault_planted_in_the_steward_is_found(fault: str) -> None:
    steward = copy.deepcopy(read_base("steward"))
    plant, finding = STEWARD_FAULTS[fault]
    plant(steward)
    assert any(finding in found for found in findings(steward)), findings(steward)


KEYSERVICE_FAULTS: dict[str, tuple[Plant, str]] = {
    "clear text": (
        lambda m: m.settings["strongroom-keyservice"].update(STRONGROOM_ALLOW_CLEAR_TEXT="true"),
        "may speak clear text",
    ),
    "no certificate": (
        lambda m: m.settings["strongroom-keyservice"].pop("STRONGROOM_KEYSERVICE_CERT_FILE"),
        "lies in no Secret",
    ),
    "its key elsewhere": (
        lambda m: m.settings["strongroom-keyservice"].update(STRONGROOM_KEYSERVICE_KEY_FILE="/tmp/tls.key"),
        "'/tmp/tls.key' lies in no Secret",
    ),
    "a certificate that never changes": (
        lambda m: container(m)["volumeMounts"][0].update(subPath="tls"),
        "a renewed certificate would not be seen",
    ),
    "loopback": (
        lambda m: m.settings["strongroom-keyservice"].update(STRONGROOM_KEYSERVICE_HOST="127.0.0.1"),
        "where no customer reaches it",
    ),
    "another port": (
        lambda m: m.settings["strongroom-keyservice"].update(STRONGROOM_KEYSERVICE_PORT="443"),
        "it listens on 443",
    ),
    "metrics for customers": (
        lambda m: m.resources["Service"]["spec"]["ports"].append({"port": 80, "targetPort": "http"}),
        "shows customers something else",
    ),
    "one of it": (lambda m: m.workload["spec"].update(replicas=1), "there is one of it"),
    "none while it rolls": (
        lambda m: m.workload["spec"].update(strategy={"type": "Recreate"}),
        "takes one away before",
    ),
    "a way to Kafka": (
        lambda m: m.resources["NetworkPolicy"]["spec"]["egress"][1]["ports"].append({"port": 9093}),
        "it may talk to port 9093",
    ),
    "key open to others": (
        lambda m: m.pod["initContainers"][0]["command"].__setitem__(2, "0440"),
        "open to others (mode 0440)",
    ),
}


@pytest.mark.parametrize("fault", KEYSERVICE_FAULTS)
def test_a_fault_planted_in_the_key_service_is_found(fault: str) -> None:
    keyservice = copy.deepcopy(read_base("keyservice"))
    plant, finding = KEYSERVICE_FAULTS[fault]
    plant(keyservice)
    assert any(finding in found for found in findings(keyservice)), findings(keyservice)


ROOT_KEYS_HOLDERS = ("archive", "steward", "judge", "keyservice")


def test_with_keys_in_kms_no_pod_is_told_of_a_root_key() -> None:
    component = yaml.safe_load((BASE.parent / "kms" / "kustomization.yaml").read_text())
    changes, patches = component["configMapGenerator"], component["patches"]
    names = [f"strongroom-{holder}" for holder in ROOT_KEYS_HOLDERS]
    assert [(each["name"], each["behavior"]) for each in changes] == [(name, "merge") for name in names]
    assert [each["literals"] for each in changes] == [["STRONGROOM_ROOT_KEY_FILE="]] * len(names)
    assert [each["target"]["name"] for each in patches] == names
    for holder, each in zip(ROOT_KEYS_HOLDERS, patches, strict=True):
        assert each["target"]["kind"] == read_base(holder).workload["kind"]


@pytest.mark.parametrize("number", range(len(ROOT_KEYS_HOLDERS)))
def test_with_keys_in_kms_no_pod_gets_a_root_key(number: int) -> None:
    """What the component takes away is there, and all there is."""
    component = yaml.safe_load((BASE.parent / "kms" / "kustomization.yaml").read_text())
    patch = component["patches"][number]
    patched = yaml.safe_load(patch["patch"])["spec"]["template"]["spec"]
    pod = copy.deepcopy(read_base(ROOT_KEYS_HOLDERS[number]).pod)
    [container], [patched_container] = pod["containers"], patched["containers"]
    for holder, gone, name in (
        (pod["initContainers"], patched["initContainers"], "name"),
        (pod["volumes"], patched["volumes"], "name"),
        (container["volumeMounts"], patched_container["volumeMounts"], "mountPath"),
    ):
        for each in gone:
            assert each.pop("$patch") == "delete"
            [found] = [one for one in holder if one[name] == each[name]]
            holder.remove(found)
    assert pod["initContainers"] == []
    assert {mount["name"] for mount in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert "strongroom-root-key" not in secrets
