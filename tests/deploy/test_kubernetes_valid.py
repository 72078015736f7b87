"""Every overlay renders to what the API servers and the operators take, field by field."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.kubernetes import OVERLAYS, ROOT, everything, rendered
from tests.deploy.kubernetes_schemas import VERSIONS, write_schemas
from tests.tools import tool

pytestmark = [pytest.mark.process, pytest.mark.tools]


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> str:
    kinds = {
        (resource["apiVersion"], resource["kind"])
        for overlay in OVERLAYS
        for resource in everything(overlay)
    }
    assert ("keda.sh/v1alpha1", "ScaledObject") in kinds
    return write_schemas(kinds, tmp_path_factory.mktemp("schemas"))


def verdict(text: str, schemas: str, version: str) -> tuple[int, str]:
    """The exit code, and what is wrong; an unknown kind is wrong, too."""
    program = tool("kubeconform")
    options = ["-strict", "-summary", "-kubernetes-version", version, "-schema-location", schemas]
    done = subprocess.run([program, *options], input=text, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_valid(overlay: str, version: str, schemas: str) -> None:
    text = rendered(overlay)
    code, said = verdict(text, schemas, version)
    count = text.count("\n---\n") + 1
    assert code == 0, said
    assert f"{count} resources found" in said
    assert f"Valid: {count}, Invalid: 0, Errors: 0, Skipped: 0" in said


@pytest.mark.parametrize(
    ("overlay", "right", "wrong"),
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
def test_a_slip_is_found(overlay: str, right: str, wrong: str, schemas: str) -> None:
    text = rendered(overlay)
    assert right in text
    code, said = verdict(text.replace(right, wrong), schemas, VERSIONS[-1])
    assert code == 1
    assert "Invalid: 1" in said, said


def test_all_components_go_together(schemas: str, tmp_path: Path) -> None:
    components = sorted((ROOT / "components").iterdir())
    overlay = {
        "resources": [os.path.relpath(ROOT / "overlays/keda", tmp_path)],
        "components": [os.path.relpath(component, tmp_path) for component in components],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    text = rendered(tmp_path)
    code, said = verdict(text, schemas, VERSIONS[-1])
    assert code == 0, said
    # Each of them shows, and the one that takes something away, too.
    for mark in ("KAFKA_SASL_MECHANISM", "QA_MODELS", "QA_TRACING", "port: 4318", "port: 443"):
        assert mark in text
    assert "PodMonitor" not in text
    assert len(components) == 4
