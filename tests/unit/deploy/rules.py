"""What manifests must keep to, as rules that say in words what is wrong: each yields its findings."""

from collections.abc import Callable, Iterator, Mapping

from tests.unit.deploy.manifests import Json, Manifests
from workers.settings import Settings

PREFIX = "STRONGROOM_"
SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}

Rule = Callable[[Manifests], Iterator[str]]


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def selectors_find_the_pods(m: Manifests) -> Iterator[str]:
    found = {
        m.workload["kind"]: m.workload["spec"]["selector"]["matchLabels"],
        "Service": m.resources["Service"]["spec"]["selector"],
        "NetworkPolicy": m.resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    }
    if "PodDisruptionBudget" in m.resources:
        budget = m.resources["PodDisruptionBudget"]
        found["PodDisruptionBudget"] = budget["spec"]["selector"]["matchLabels"]
    for number, spread in enumerate(m.pod.get("topologySpreadConstraints", [])):
        found[f"topology spread {number}"] = spread["labelSelector"]["matchLabels"]
    for what, selector in found.items():
        if not matches(selector, m.pod_labels):
            yield f"{what} selects {selector}, the pods are {m.pod_labels}"


def the_service_gives_the_pods_their_names(m: Manifests) -> Iterator[str]:
    service = m.resources["Service"]
    if m.workload["spec"]["serviceName"] != service["metadata"]["name"]:
        yield f"serviceName {m.workload['spec']['serviceName']} is no Service here"
    if service["spec"]["clusterIP"] != "None":
        yield "the Service is not headless"


def ports_and_probes_agree(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("livenessProbe", "readinessProbe"):
        port = container[probe]["httpGet"]["port"]
        if port not in named:
            yield f"{probe} asks port {port!r}, the container names {sorted(named)}"
    for port in m.resources["Service"]["spec"]["ports"]:
        if port["targetPort"] not in named:
            yield f"the Service goes to port {port['targetPort']!r}, the container names {sorted(named)}"
    for ingress in m.resources["NetworkPolicy"]["spec"]["ingress"]:
        for port in ingress["ports"]:
            if port["port"] not in named:
                yield f"the NetworkPolicy admits port {port['port']!r}, the container names {sorted(named)}"
    listens = environment(m, container).get("STRONGROOM_HTTP_PORT")
    if listens != str(named.get("http")):
        yield f"the worker listens on {listens}, the container's port http is {named.get('http')}"
    if environment(m, container).get("STRONGROOM_HTTP_HOST") != "0.0.0.0":
        yield "the worker listens where no probe reaches it"


def probes_ask_what_the_worker_serves(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    scheme = "HTTPS" if "STRONGROOM_HTTP_CERT_FILE" in environment(m, container) else "HTTP"
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        if container[probe]["httpGet"].get("scheme", "HTTP") != scheme:
            yield f"{probe} does not speak {scheme}, which the worker does"
        if container[probe]["httpGet"]["path"] != path:
            yield f"{probe} asks {container[probe]['httpGet']['path']}, not {path}"


def environment(m: Manifests, container: Json) -> dict[str, str]:
    """The variables of a container; those that only the cluster knows stand for themselves."""
    given: dict[str, str] = {}
    for source in container.get("envFrom", []):
        given |= m.settings.get(source.get("configMapRef", {}).get("name", ""), {})
    for variable in container.get("env", []):
        given[variable["name"]] = variable.get("value", "from-the-cluster")
    return given


def every_variable_is_a_setting(m: Manifests) -> Iterator[str]:
    for container in m.containers:
        for source in container.get("envFrom", []):
            name = source.get("configMapRef", {}).get("name")
            if name is not None and name not in m.settings:
                yield f"no ConfigMap {name} is made"
        for name in environment(m, container):
            if name.startswith(PREFIX) and name not in SETTINGS:
                yield f"{name} is no setting"
    if m.pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks is not false: STRONGROOM_…_PORT variables come in, which are no settings"


def each_pod_is_a_member_of_its_own(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    sources = {
        v["name"]: v.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") for v in container["env"]
    }
    if sources.get("STRONGROOM_INSTANCE_ID") != "metadata.name":
        yield "STRONGROOM_INSTANCE_ID is not the pod's name: workers would fence each other"


def there_is_time_for_the_last_flush(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    default = Settings.model_fields["shutdown_timeout"].default
    needed = float(environment(m, container).get("STRONGROOM_SHUTDOWN_TIMEOUT", default))
    # after the flush: closing the stream and leaving the group, 15 s at most, and what was under way
    if m.pod["terminationGracePeriodSeconds"] < needed + 40:
        yield f"killed after {m.pod['terminationGracePeriodSeconds']} s, the last flush may take {needed} s"


def pods_are_restricted(m: Manifests) -> Iterator[str]:
    """Pod Security Standards, level restricted, and a read-only root besides."""
    context = m.pod["securityContext"]
    if not (context.get("runAsNonRoot") and context.get("runAsUser", 0) > 0):
        yield "runs as root"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for container in m.containers:
        own = container["securityContext"]
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} may gain privileges"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} may write to its root file system"
        if own.get("capabilities", {}) != {"drop": ["ALL"]}:
            yield f"{container['name']} keeps capabilities"
    for volume in m.pod["volumes"]:
        if not volume.keys() & {"emptyDir", "secret", "configMap", "projected"}:
            yield f"volume {volume['name']} is of a kind that is not allowed"
    labels = m.resources["Namespace"]["metadata"]["labels"]
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace admits pods that are not restricted"


def volumes_and_mounts_agree(m: Manifests) -> Iterator[str]:
    volumes = {volume["name"] for volume in m.pod["volumes"]}
    mounted = {mount["name"] for container in m.containers for mount in container["volumeMounts"]}
    if volumes != mounted:
        yield f"volumes are {sorted(volumes)}, mounted are {sorted(mounted)}"
    if "/tmp" not in _paths(m):
        yield "nothing can be written to /tmp"


def _paths(m: Manifests) -> list[str]:
    [container] = m.pod["containers"]
    return [mount["mountPath"] for mount in container["volumeMounts"]]


def the_root_key_lies_in_a_volume(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    key = environment(m, container).get("STRONGROOM_ROOT_KEY_FILE", "")
    if not any(key.startswith(f"{path}/") for path in _paths(m)):
        yield f"the root key {key!r} lies in no volume"


def it_reaches_s3_alone(m: Manifests) -> Iterator[str]:
    for egress in m.resources["NetworkPolicy"]["spec"]["egress"]:
        for port in egress["ports"]:
            if port["port"] not in (53, 443) or "endPort" in port:
                yield f"it may talk to port {port['port']}"


def one_is_enough(m: Manifests) -> Iterator[str]:
    """Two would do no harm: they would do the same work twice."""
    if m.workload["spec"]["replicas"] != 1:
        yield f"there are {m.workload['spec']['replicas']} of it"
    if m.workload["spec"]["strategy"]["type"] != "Recreate":
        yield "a roll-out runs two of it"


def it_holds_no_keys(m: Manifests) -> Iterator[str]:
    """What opens nothing need not be able to."""
    if any("secret" in volume for volume in m.pod["volumes"]):
        yield "a secret is mounted"
    for container in m.containers:
        if "STRONGROOM_ROOT_KEY_FILE" in environment(m, container):
            yield "the root key is set"


def it_deletes_nothing_by_itself(m: Manifests) -> Iterator[str]:
    """The base is a dry run: an overlay turns deletion on, once somebody has looked."""
    [container] = m.pod["containers"]
    for name in ("STRONGROOM_SWEEP_DELETE", "STRONGROOM_RETAIN_DELETE"):
        if environment(m, container).get(name, "false") != "false":
            yield "it deletes from the start"


def the_root_key_is_its_owners_alone(m: Manifests) -> Iterator[str]:
    """workers/sealing/root.py refuses a key that others may read."""
    [copy] = m.pod["initContainers"]
    mode = int(copy["command"][copy["command"].index("-m") + 1], 8)
    if mode & 0o077:
        yield f"the root key is open to others (mode {mode:04o})"
    [container] = m.pod["containers"]
    if copy["command"][-1] != environment(m, container).get("STRONGROOM_ROOT_KEY_FILE"):
        yield f"the root key is put at {copy['command'][-1]}, and looked for elsewhere"


def customers_reach_it(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    given = environment(m, container)
    named = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    if given.get("STRONGROOM_KEYSERVICE_PORT") != named.get("kms"):
        yield f"it listens on {given.get('STRONGROOM_KEYSERVICE_PORT')}, the port kms is {named.get('kms')}"
    if given.get("STRONGROOM_KEYSERVICE_HOST") != "0.0.0.0":
        yield "it listens where no customer reaches it"
    if [port["targetPort"] for port in m.resources["Service"]["spec"]["ports"]] != ["kms"]:
        yield "the Service shows customers something else than the port kms"


def keys_leave_it_by_tls_alone(m: Manifests) -> Iterator[str]:
    [container] = m.pod["containers"]
    given = environment(m, container)
    if given.get("STRONGROOM_ALLOW_CLEAR_TEXT", "false") != "false":
        yield "it may speak clear text"
    secret = {volume["name"] for volume in m.pod["volumes"] if "secret" in volume}
    for what in ("CERT", "KEY"):
        path = given.get(f"STRONGROOM_KEYSERVICE_{what}_FILE", "")
        mounts = [each for each in container["volumeMounts"] if path.startswith(f"{each['mountPath']}/")]
        if [each["name"] for each in mounts if each["name"] in secret] == []:
            yield f"{path!r} lies in no Secret"
        if any("subPath" in each for each in mounts):
            yield f"{path} never changes: a renewed certificate would not be seen"


def one_stays_while_another_goes(m: Manifests) -> Iterator[str]:
    if m.workload["spec"]["replicas"] < 2:
        yield "there is one of it: customers wait while it restarts"
    if m.workload["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable") != 0:
        yield "a roll-out takes one away before the next is there"


def containers_say_what_they_need(m: Manifests) -> Iterator[str]:
    for container in m.containers:
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield f"{container['name']} requests no CPU or no memory"
        if "memory" not in resources.get("limits", {}):
            yield f"{container['name']} has no limit of memory"


RULES: tuple[Rule, ...] = (
    selectors_find_the_pods,
    ports_and_probes_agree,
    probes_ask_what_the_worker_serves,
    every_variable_is_a_setting,
    pods_are_restricted,
    volumes_and_mounts_agree,
    containers_say_what_they_need,
)
RULES_OF: Mapping[str, tuple[Rule, ...]] = {
    "archive": (
        the_service_gives_the_pods_their_names,
        each_pod_is_a_member_of_its_own,
        there_is_time_for_the_last_flush,
        the_root_key_lies_in_a_volume,
        the_root_key_is_its_owners_alone,
    ),
    "steward": (
        the_root_key_lies_in_a_volume,
        the_root_key_is_its_owners_alone,
        one_is_enough,
        it_deletes_nothing_by_itself,
    ),
    "retain": (it_holds_no_keys, it_deletes_nothing_by_itself),
    "judge": (the_root_key_lies_in_a_volume, the_root_key_is_its_owners_alone),
    "keyservice": (
        customers_reach_it,
        keys_leave_it_by_tls_alone,
        the_root_key_lies_in_a_volume,
        the_root_key_is_its_owners_alone,
        it_reaches_s3_alone,
        one_stays_while_another_goes,
    ),
}


def findings(m: Manifests) -> list[str]:
    return [finding for rule in (*RULES, *RULES_OF[m.component]) for finding in rule(m)]
