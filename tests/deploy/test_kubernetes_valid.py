"""Every overlay is valid by the schemas of Kubernetes and of the operators, field by field."""

import os
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes import OVERLAYS, RENDERS, ROOT, all_resources, rendered
from tests.deploy.kubernetes_schemas import VERSIONS, validate, write_schemas

pytestmark = [pytest.mark.process, pytest.mark.tools]


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    kinds = {
        (resource["apiVersion"], resource["kind"])
        for overlay in OVERLAYS
        for resource in all_resources(overlay)
    }
    assert ("keda.sh/v1alpha1", "ScaledObject") in kinds
    kinds.add(("monitoring.coreos.com/v1", "PrometheusRule"))  # of a component
    return write_schemas(kinds, tmp_path_factory.mktemp("schemas"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", RENDERS)
def test_overlay_is_valid(overlay: str, version: str, schemas: str) -> None:
    text = rendered(overlay)
    code, output = validate(text, schemas, version)
    count = text.count("\n---\n") + 1
    assert code == 0, output
    assert f"{count} resources found" in output
    assert f"Valid: {count}, Invalid: 0, Errors: 0, Skipped: 0" in output


@pytest.mark.parametrize(
    ("overlay", "valid", "invalid"),
    [
        ("base", "runAsNonRoot: true", "runAsNonroot: true"),
        ("base", "maxSurge: 1", "maxSurge: [1]"),
        ("base", "scrapeTimeout: 10s", "scrapeTimeouts: 10s"),
        ("base", "interval: 15s", "interval: soon"),
        ("overlays/keda", "cooldownPeriod: 300", "cooldown: 300"),
        ("overlays/keda", "maxReplicaCount: 12", "maxReplicaCount: twelve"),
        ("overlays/keda-sasl-tls", "secretTargetRef:", "secretRef:"),
        ("overlays/hpa", "averageUtilization: 70", "averageUtilisation: 70"),
    ],
)
def test_mistake_is_found(overlay: str, valid: str, invalid: str, schemas: str) -> None:
    text = rendered(overlay)
    assert valid in text
    code, output = validate(text.replace(valid, invalid), schemas, VERSIONS[-1])
    assert code == 1
    assert "Invalid: 1" in output, output


def test_all_components_can_be_combined(schemas: str, tmp_path: Path) -> None:
    components = sorted((ROOT / "components").iterdir())
    overlay = {
        "resources": [os.path.relpath(ROOT / "overlays/keda", tmp_path)],
        "components": [os.path.relpath(component, tmp_path) for component in components],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    text = rendered(tmp_path)
    code, output = validate(text, schemas, VERSIONS[-1])
    assert code == 0, output
    # Every component has an effect; one of them removes the PodMonitor.
    for added in (
        "QA_DELIVERY",
        "role-arn",
        "SCHEMA_REGISTRY_URL",
        "port: 9098",
        "ca.crt",
        "QA_MODELS",
        "QA_TRACING",
        "port: 4318",
        "port: 443",
        "port: 8081",
    ):
        assert added in text
    assert "PodMonitor" not in text
    assert "kind: PrometheusRule" in text
