"""Every check of every overlay: what a pod may do, and what holds it together when it ends.

A check says what is wrong, or nothing. `python -m tests.deploy.hardening` prints the table.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

from tests.deploy.kubernetes import (
    OVERLAYS,
    Resource,
    containers,
    everything,
    pod,
    resources,
    settings,
    the,
    worker,
)
from worker.settings.environment import variables

Check = Callable[[str], Iterator[str]]

_PROBES = {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
"""The kinds that are of no use for getting at the node."""
_UNITS = {"m": Decimal("0.001"), "": Decimal(1), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}


def quantity(text: str) -> Decimal:
    """Kubernetes' `500m`, `2` and `512Mi`, in cores or bytes."""
    found = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text)
    assert found, text
    return Decimal(found[1]) * _UNITS[found[2]]


def _security(overlay: str) -> Iterator[tuple[str, Resource, Resource]]:
    """Name, the container's own security context, and what it comes to with the pod's."""
    for its in containers(overlay):
        own = its.get("securityContext", {})
        yield its["name"], own, {**pod(overlay).get("securityContext", {}), **own}


def not_root(overlay: str) -> Iterator[str]:
    for name, _, both in _security(overlay):
        if not (both.get("runAsNonRoot") and both.get("runAsUser") and both.get("runAsGroup")):
            yield f"{name} may run as root"


def no_more_privileges(overlay: str) -> Iterator[str]:
    for name, own, _ in _security(overlay):
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            yield f"{name} may get more privileges"


def read_only_root(overlay: str) -> Iterator[str]:
    for name, own, _ in _security(overlay):
        if not own.get("readOnlyRootFilesystem"):
            yield f"{name} may write to its root file system"


def no_capabilities(overlay: str) -> Iterator[str]:
    for name, own, _ in _security(overlay):
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name} has capabilities"


def seccomp(overlay: str) -> Iterator[str]:
    for name, _, both in _security(overlay):
        if both.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name} may make any system call"


def nothing_of_the_node(overlay: str) -> Iterator[str]:
    its = pod(overlay)
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if its.get(shared):
            yield shared
    for volume in its.get("volumes", []):
        if not volume.keys() - {"name"} <= _VOLUMES:
            yield f"the volume {volume['name']}"
    for container in containers(overlay):
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"a port of the node for {container['name']}"


def no_token(overlay: str) -> Iterator[str]:
    account = the(overlay, "ServiceAccount")
    if pod(overlay).get("serviceAccountName") != account["metadata"]["name"]:
        yield "not the account that is for it"
    for place in (pod(overlay), account):
        if place.get("automountServiceAccountToken") is not False:
            yield "a token for the API in every pod"


def no_service_links(overlay: str) -> Iterator[str]:
    if pod(overlay).get("enableServiceLinks") is not False:
        yield "other services write variables into the environment"


def no_secrets_in_the_open(overlay: str) -> Iterator[str]:
    secret = {variable.name for variable in variables() if variable.secret}
    if resources(overlay, "Secret"):
        yield "a Secret among the manifests"
    for name in secret & the(overlay, "ConfigMap")["data"].keys():
        yield f"{name} in the ConfigMap"
    for container in containers(overlay):
        for variable in container.get("env", []):
            if variable["name"] in secret:
                yield f"{variable['name']} in the environment, and not in a file"


def bounded(overlay: str) -> Iterator[str]:
    for container in containers(overlay):
        asked, limits = (container.get("resources", {}).get(k, {}) for k in ("requests", "limits"))
        for name in ("cpu", "memory", "ephemeral-storage"):
            if not (name in asked and name in limits):
                yield f"{container['name']}: no bounds for {name}"
    for volume in pod(overlay).get("volumes", []):
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"the volume {volume['name']} has no bound"


def whole_cores(overlay: str) -> Iterator[str]:
    its = worker(overlay)["resources"]
    cores = quantity(its["limits"]["cpu"])
    if cores != int(cores) or cores < 1:
        yield f"{cores} cores: threads are whole, what is left over is paid and not used"
    if its["requests"]["cpu"] != its["limits"]["cpu"]:
        yield "cores that may not be there when they are needed"


def probes(overlay: str) -> Iterator[str]:
    its = worker(overlay)
    ports = {port["name"]: port["containerPort"] for port in its["ports"]}
    for probe, path in _PROBES.items():
        call = its.get(probe, {}).get("httpGet", {})
        if call.get("path") != path or call.get("port") not in ports:
            yield f"{probe} does not ask for {path}"
    if str(ports["http"]) != settings(overlay).get("QA_HTTP_PORT", "8080"):
        yield "not the port that the worker serves"


def time_to_end(overlay: str) -> Iterator[str]:
    its, given = settings(overlay), pod(overlay)["terminationGracePeriodSeconds"]
    if given != float(its["QA_TERMINATION_GRACE_PERIOD_SECONDS"]):
        yield f"QA_TERMINATION_GRACE_PERIOD_SECONDS is not {given}"
    if given <= float(its["QA_SHUTDOWN_SECONDS"]):
        yield f"killed {given} s after SIGTERM, with QA_SHUTDOWN_SECONDS to go on"


def network(overlay: str) -> Iterator[str]:
    policy = the(overlay, "NetworkPolicy")["spec"]
    if not selects(policy["podSelector"], overlay) or len(policy["policyTypes"]) != 2:
        yield "no policy for it"
    for rule in policy["ingress"]:
        if not (rule.get("from") and rule.get("ports")):
            yield "anybody may call, or any port"
    for rule in policy["egress"]:
        if not rule.get("ports"):
            yield "it may call any port"


def disruptions(overlay: str) -> Iterator[str]:
    budget = the(overlay, "PodDisruptionBudget")["spec"]
    if not selects(budget["selector"], overlay) or budget.get("maxUnavailable") != 1:
        yield "more than one at a time may be taken away"


def images(overlay: str) -> Iterator[str]:
    for container in containers(overlay):
        _, _, tag = container["image"].partition(":")
        if tag in ("", "latest"):
            yield f"{container['image']} may be another tomorrow"


def selects(selector: Resource, overlay: str) -> bool:
    """Whether it is for the worker's pods, and says so."""
    labels = the(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    wanted = selector.get("matchLabels", {})
    return bool(wanted) and wanted.items() <= labels.items()


def named(overlay: str) -> Iterator[str]:
    for resource in everything(overlay):
        if "namespace" in resource["metadata"]:
            yield f"{resource['kind']} has a namespace, which is the user's to say"


CHECKS: dict[str, Check] = {
    "runs as nobody (runAsNonRoot, by number)": not_root,
    "no privilege escalation": no_more_privileges,
    "read-only root file system": read_only_root,
    "all capabilities dropped": no_capabilities,
    "seccomp: RuntimeDefault": seccomp,
    "nothing of the node (namespaces, paths, ports)": nothing_of_the_node,
    "no token of the API, an account of its own": no_token,
    "no service links": no_service_links,
    "secrets as files, none in the manifests": no_secrets_in_the_open,
    "requests and limits: CPU, memory, storage": bounded,
    "CPU limit in whole cores, as requested": whole_cores,
    "startup, readiness and liveness probes": probes,
    "grace period fits the shutdown budget": time_to_end,
    "network policy, both ways": network,
    "disruption budget: one at a time": disruptions,
    "images by tag or digest, never latest": images,
    "no namespace of ours": named,
}


def table() -> str:
    rows = [["Check", *(overlay.removeprefix("overlays/") for overlay in OVERLAYS)]]
    for name, check in CHECKS.items():
        rows.append([name, *("; ".join(check(overlay)) or "yes" for overlay in OVERLAYS)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    print(table())
