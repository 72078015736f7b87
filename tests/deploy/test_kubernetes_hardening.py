"""Every overlay holds every check of hardening.py, and every check can fail."""

import pytest
import yaml

from tests.deploy import hardening, kubernetes
from tests.deploy.hardening import CHECKS, table
from tests.deploy.kubernetes import OVERLAYS, rendered

ALL_IN_ONE = "overlays/keda-sasl-tls"
PASSWORD = """\
        - name: KAFKA_SASL_PASSWORD
          value: hunter2
        envFrom:
"""
WEAKENED = {
    "not_root": ("runAsUser: 65532", "runAsUser: 0"),
    "no_more_privileges": ("allowPrivilegeEscalation: false", "privileged: true"),
    "read_only_root": ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    "no_capabilities": ("drop:\n            - ALL", "add:\n            - NET_ADMIN"),
    "seccomp": ("type: RuntimeDefault", "type: Unconfined"),
    "nothing_of_the_node": ("secret:\n          defaultMode", "hostPath:\n          defaultMode"),
    "no_token": ("automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    "no_service_links": ("enableServiceLinks: false", "enableServiceLinks: true"),
    "no_secrets_in_the_open": ("        envFrom:\n", PASSWORD),
    "bounded": ("ephemeral-storage: 64Mi", "hugepages-2Mi: 64Mi"),
    "whole_cores": ('cpu: "2"', "cpu: 2500m"),
    "probes": ("path: /readyz", "path: /healthz"),
    "time_to_end": ("terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 20"),
    "network": ("  - from:\n    - namespaceSelector", "  - other:\n    - namespaceSelector"),
    "disruptions": ("  maxUnavailable: 1\n", "  maxUnavailable: 50%\n"),
    "images": ("image: qa-worker:0.1.0", "image: qa-worker:latest"),
    "named": ("  name: qa-worker\nspec:", "  name: qa-worker\n  namespace: prod\nspec:"),
}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", CHECKS)
def test_an_overlay_holds(name: str, overlay: str) -> None:
    assert list(CHECKS[name](overlay)) == []


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = WEAKENED[CHECKS[name].__name__]
    text = rendered(ALL_IN_ONE)
    assert right in text
    weakened = list(yaml.safe_load_all(text.replace(right, wrong)))
    for module in (kubernetes, hardening):
        monkeypatch.setattr(module, "everything", lambda _: weakened)
    assert list(CHECKS[name](ALL_IN_ONE)) != []


def test_the_table_has_them_all() -> None:
    lines = table().splitlines()
    assert len(lines) == len(CHECKS) + 2
    assert all(line.count("| yes") == len(OVERLAYS) for line in lines[2:])
