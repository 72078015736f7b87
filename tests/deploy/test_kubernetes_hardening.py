"""Hardening of the pods in every overlay: kube-score's checks, and checks that it lacks."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.kubernetes import (
    RENDERS,
    ROOT,
    all_resources,
    containers,
    only_resource,
    pod,
    rendered,
    resources,
    selects,
    settings,
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
    "container-image-pull-policy",  # tags are immutable, so a start need not ask the registry
    "deployment-has-host-podantiaffinity",  # the pods have topologySpreadConstraints
    "deployment-replicas",  # KEDA scales to zero
    "statefulset-has-host-podantiaffinity",  # as for the Deployment
)
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
"""Kinds of volumes that give no access to the node."""

each_overlay = pytest.mark.parametrize("overlay", RENDERS)


def problems(text: str) -> list[str]:
    """Returns the lines of kube-score's output that are neither OK nor SKIPPED."""
    command = [tool("kube-score"), "score", "--kubernetes-version=v1.32", "--output-format=ci", "-"]
    command += [f"--enable-optional-test={name}" for name in OPTIONAL]
    command += [f"--ignore-test={name}" for name in IGNORED]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    assert result.stdout, result.stderr
    lines = result.stdout.splitlines()
    return [line for line in lines if not line.startswith(("[OK]", "[SKIPPED]"))]


@each_overlay
def test_kube_score_finds_nothing(overlay: str) -> None:
    assert problems(rendered(overlay)) == []


@pytest.mark.parametrize(
    ("strict", "weak", "problem"),
    [
        ("runAsUser: 65532", "runAsUser: 0", "user"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root filesystem"),
        ("image: qa-worker:0.2.0", "image: qa-worker:latest", "Image with latest tag"),
        ("kind: PodDisruptionBudget", "kind: Budget", "PodDisruptionBudget"),
    ],
)
def test_kube_score_finds_weakened_settings(strict: str, weak: str, problem: str) -> None:
    text = rendered("base")
    assert strict in text
    assert any(problem in line for line in problems(text.replace(strict, weak)))


@each_overlay
def test_containers_gain_no_privileges(overlay: str) -> None:
    assert pod(overlay)["securityContext"]["runAsNonRoot"] is True
    for container in containers(overlay):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"privileged", "runAsNonRoot", "seccompProfile"}.isdisjoint(context)


@each_overlay
def test_pods_use_no_host_namespace_volume_or_port(overlay: str) -> None:
    spec = pod(overlay)
    assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(spec)
    for volume in spec.get("volumes", []):
        assert volume.keys() - {"name"} <= VOLUMES
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None})
    ports = [port for container in containers(overlay) for port in container.get("ports", [])]
    assert all("hostPort" not in port for port in ports)


@each_overlay
def test_pods_get_no_api_token_and_no_service_links(overlay: str) -> None:
    account = only_resource(overlay, "ServiceAccount")
    assert pod(overlay)["serviceAccountName"] == account["metadata"]["name"]
    assert pod(overlay)["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    assert pod(overlay)["enableServiceLinks"] is False


@each_overlay
def test_secrets_come_from_files(overlay: str) -> None:
    secret = {variable.name for variable in variables() if variable.secret}
    assert resources(overlay, "Secret") == []
    assert secret.isdisjoint(only_resource(overlay, "ConfigMap")["data"])
    for container in containers(overlay):
        assert secret.isdisjoint(variable["name"] for variable in container.get("env", []))


@each_overlay
def test_probes_use_the_workers_http_port(overlay: str) -> None:
    container = worker(overlay)
    paths = {"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    (port,) = (port for port in container["ports"] if port["name"] == "http")
    assert str(port["containerPort"]) == settings(overlay).get("QA_HTTP_PORT", "8080")


@each_overlay
def test_network_policy_restricts_sources_and_ports(overlay: str) -> None:
    policy = only_resource(overlay, "NetworkPolicy")["spec"]
    assert selects(policy["podSelector"], overlay)
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert all(rule.get("from") and rule.get("ports") for rule in policy["ingress"])
    assert all(rule.get("ports") for rule in policy["egress"])


@each_overlay
def test_disruption_budget_allows_one_eviction_at_a_time(overlay: str) -> None:
    budget = only_resource(overlay, "PodDisruptionBudget")["spec"]
    assert selects(budget["selector"], overlay)
    assert budget["maxUnavailable"] == 1


@each_overlay
def test_resources_have_no_namespace(overlay: str) -> None:
    assert all("namespace" not in resource["metadata"] for resource in all_resources(overlay))


def test_the_hardening_table_names_tests_that_exist() -> None:
    _, _, table = (ROOT / "README.md").read_text("utf-8").partition("## Hardening")
    named = set(re.findall(r"`(test_\w+)`", table))
    files = "\n".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert len(named) > 10
    assert [name for name in sorted(named) if f"def {name}(" not in files] == []
