"""The init container's command downloads a model from a local hub, and the worker opens it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.kubernetes import Resource, pod, settings, worker
from tests.model_tools import published_models as published
from tests.model_tools.hub_server import HubServer, hub_server
from worker.models.store import ModelStore

pytestmark = [pytest.mark.process, pytest.mark.tools]

OVERLAY = "overlays/hpa-model-volume"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


@pytest.fixture
def init() -> Resource:
    (container,) = pod(OVERLAY)["initContainers"]
    return dict(container)


@pytest.fixture
def volumes(tmp_path: Path, init: Resource) -> dict[str, str]:
    """Maps the mount paths of the init container to temporary directories."""
    mounted = {mount["mountPath"]: tmp_path / mount["name"] for mount in init["volumeMounts"]}
    for directory in mounted.values():
        directory.mkdir()
    return {inside: str(outside) for inside, outside in mounted.items()}


def prepare(init: Resource, hub: HubServer, volumes: dict[str, str], tmp_path: Path) -> None:
    """Runs the init container's command with its environment and without a writable home."""
    variables = {variable["name"]: variable["value"] for variable in init["env"]}
    environment = {
        name: volumes.get(value, value)
        for name, value in {**settings(OVERLAY), **variables}.items()
    }
    (programs := tmp_path / "bin").mkdir(exist_ok=True)
    (programs / "qa-worker").write_text(f'#!/bin/sh\nexec {sys.executable} -m worker "$@"\n')
    (programs / "qa-worker").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    result = subprocess.run(
        [*init["command"], *init["args"]],
        env={**environment, "PATH": path, "HF_ENDPOINT": hub.url, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_worker_opens_the_downloaded_model(
    init: Resource, hub: HubServer, volumes: dict[str, str], tmp_path: Path
) -> None:
    variables = {variable["name"]: variable["value"] for variable in init["env"]}
    hub.put(variables["MODEL_REPOSITORY"], published.safetensors())
    prepare(init, hub, volumes, tmp_path)
    environment = settings(OVERLAY)
    bundle = ModelStore(Path(volumes[environment["QA_MODELS"]])).open(environment["QA_MODEL"])
    assert bundle.manifest.source == variables["MODEL_REPOSITORY"]
    assert "per token" in (bundle.manifest.method or "")
    # With a persistent volume, a second start sends no request to the hub.
    requests = len(hub.requests)
    prepare(init, hub, volumes, tmp_path)
    assert len(hub.requests) == requests


def test_worker_mounts_the_models_read_only(init: Resource) -> None:
    (mount,) = worker(OVERLAY)["volumeMounts"]
    assert mount["readOnly"]
    assert mount["mountPath"] == settings(OVERLAY)["QA_MODELS"]
    assert {"name": mount["name"], "mountPath": mount["mountPath"]} in init["volumeMounts"]
