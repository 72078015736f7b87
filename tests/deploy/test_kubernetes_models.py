"""The init container's own command, on a hub of the test's: what it fetches, the worker opens."""

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
    """Where it mounts what, to directories here."""
    mounted = {mount["mountPath"]: tmp_path / mount["name"] for mount in init["volumeMounts"]}
    for directory in mounted.values():
        directory.mkdir()
    return {inside: str(outside) for inside, outside in mounted.items()}


def prepare(init: Resource, hub: HubServer, volumes: dict[str, str], tmp_path: Path) -> None:
    """The command as it stands there, with its own environment and nothing else to write to."""
    own = {variable["name"]: variable["value"] for variable in init["env"]}
    environment = {
        name: volumes.get(value, value) for name, value in {**settings(OVERLAY), **own}.items()
    }
    (programs := tmp_path / "bin").mkdir(exist_ok=True)
    (programs / "qa-worker").write_text(f'#!/bin/sh\nexec {sys.executable} -m worker "$@"\n')
    (programs / "qa-worker").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        [*init["command"], *init["args"]],
        env={**environment, "PATH": path, "HF_ENDPOINT": hub.url, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_what_it_fetches_is_what_the_worker_opens(
    init: Resource, hub: HubServer, volumes: dict[str, str], tmp_path: Path
) -> None:
    own = {variable["name"]: variable["value"] for variable in init["env"]}
    hub.put(own["MODEL_REPOSITORY"], published.safetensors())
    prepare(init, hub, volumes, tmp_path)
    its = settings(OVERLAY)
    bundle = ModelStore(Path(volumes[its["QA_MODELS"]])).open(its["QA_MODEL"])
    assert bundle.manifest.source == own["MODEL_REPOSITORY"]
    assert "per token" in (bundle.manifest.method or "")
    # On a volume that lasts, a second start asks the hub nothing.
    asked = len(hub.requests)
    prepare(init, hub, volumes, tmp_path)
    assert len(hub.requests) == asked


def test_the_worker_only_reads_it(init: Resource) -> None:
    (mount,) = worker(OVERLAY)["volumeMounts"]
    assert mount["readOnly"]
    assert mount["mountPath"] == settings(OVERLAY)["QA_MODELS"]
    assert {"name": mount["name"], "mountPath": mount["mountPath"]} in init["volumeMounts"]
