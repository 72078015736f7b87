"""What the pods may do, and what protects them: kube-score's checks, and those that it lacks, of
every overlay.
"""

import subprocess

import pytest

from tests.deploy.kubernetes import (
    OVERLAYS,
    containers,
    everything,
    pod,
    rendered,
    resources,
    selects,
    settings,
    the,
    worker,
)
from tests.tools import tool
from worker.settings.environment import variables

pytestmark = [pytest.mark.process, pytest.mark.tools]

OPTIONAL = (
    "container-cpu-requests-equal-limits",
    "container-ephemeral-storage-request-equals-limit",
    "container-ports-check",
    "container-seccomp-profile",
)
IGNORED = (
    "container-image-pull-policy",  # tags are immutable here: no start waits for a registry
    "deployment-has-host-podantiaffinity",  # the pods have topologySpreadConstraints
    "deployment-replicas",  # KEDA scales to zero
)
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
"""The kinds that give no access to the node."""

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def complaints(text: str) -> list[str]:
    """Lines of kube-score that are not OK."""
    command = [tool("kube-score"), "score", "--kubernetes-version=v1.32", "--output-format=ci", "-"]
    command += [f"--enable-optional-test={name}" for name in OPTIONAL]
    command += [f"--ignore-test={name}" for name in IGNORED]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]


@each_overlay
def test_kube_score_finds_nothing(overlay: str) -> None:
    assert complaints(rendered(overlay)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("runAsUser: 65532", "runAsUser: 0", "user"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root filesystem"),
        ("image: qa-worker:0.1.0", "image: qa-worker:latest", "Image with latest tag"),
        ("kind: PodDisruptionBudget", "kind: Budget", "PodDisruptionBudget"),
    ],
)
def test_kube_score_finds_what_is_weakened(right: str, wrong: str, complaint: str) -> None:
    text = rendered("base")
    assert right in text
    assert any(complaint in line for line in complaints(text.replace(right, wrong)))


@each_overlay
def test_containers_gain_no_privileges(overlay: str) -> None:
    assert pod(overlay)["securityContext"]["runAsNonRoot"] is True
    for container in containers(overlay):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"privileged", "runAsNonRoot", "seccompProfile"}.isdisjoint(context)


@each_overlay
def test_pods_use_nothing_of_the_node(overlay: str) -> None:
    its = pod(overlay)
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(its)
    for volume in its.get("volumes", []):
        assert volume.keys() - {"name"} <= VOLUMES
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None})
    ports = [port for container in containers(overlay) for port in container.get("ports", [])]
    assert all("hostPort" not in port for port in ports)


@each_overlay
def test_pods_get_no_api_token_and_no_service_links(overlay: str) -> None:
    account = the(overlay, "ServiceAccount")
    assert pod(overlay)["serviceAccountName"] == account["metadata"]["name"]
    assert pod(overlay)["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    assert pod(overlay)["enableServiceLinks"] is False


@each_overlay
def test_secrets_come_from_files(overlay: str) -> None:
    secret = {variable.name for variable in variables() if variable.secret}
    assert resources(overlay, "Secret") == []
    assert secret.isdisjoint(the(overlay, "ConfigMap")["data"])
    for container in containers(overlay):
        assert secret.isdisjoint(variable["name"] for variable in container.get("env", []))


@each_overlay
def test_probes_ask_the_port_that_the_worker_serves(overlay: str) -> None:
    its = worker(overlay)
    paths = {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    for probe, path in paths.items():
        assert its[probe]["httpGet"] == {"path": path, "port": "http"}
    (port,) = (port for port in its["ports"] if port["name"] == "http")
    assert str(port["containerPort"]) == settings(overlay).get("QA_HTTP_PORT", "8080")


@each_overlay
def test_the_network_policy_names_callers_and_ports(overlay: str) -> None:
    policy = the(overlay, "NetworkPolicy")["spec"]
    assert selects(policy["podSelector"], overlay)
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule.get("from") and rule.get("ports") for rule in policy["ingress"])
    assert all(rule.get("ports") for rule in policy["egress"])


@each_overlay
def test_one_pod_at_a_time_may_be_evicted(overlay: str) -> None:
    budget = the(overlay, "PodDisruptionBudget")["spec"]
    assert selects(budget["selector"], overlay)
    assert budget["maxUnavailable"] == 1


@each_overlay
def test_the_namespace_is_left_to_the_user(overlay: str) -> None:
    assert all("namespace" not in resource["metadata"] for resource in everything(overlay))
