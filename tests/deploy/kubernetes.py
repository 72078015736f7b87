"""The resources of deploy/kubernetes, rendered as by `kubectl apply -k`."""

import re
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools import tool

ROOT = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
OVERLAYS = ["base", *sorted(f"overlays/{path.name}" for path in (ROOT / "overlays").iterdir())]
"""All directories that can be applied, as paths below deploy/kubernetes."""
CHART = ROOT.parent / "helm" / "qa-worker"
CHARTS = [f"chart/{overlay.rpartition('/')[2]}" for overlay in OVERLAYS]
"""The chart of deploy/helm, with its values file for each overlay."""
RENDERS = [*OVERLAYS, *CHARTS]

Resource = dict[str, Any]

_UNITS = {"m": Decimal("0.001"), "": Decimal(1), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}


@cache
def rendered(overlay: str | Path) -> str:
    """Returns the YAML of one of `RENDERS`, or of a directory elsewhere."""
    if overlay in CHARTS:
        return template(Path(overlay).name)
    program = tool("kubectl", "kustomize")
    verb = "kustomize" if Path(program).name == "kubectl" else "build"
    result = subprocess.run([program, verb, ROOT / overlay], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "kustomize warns, for example of a deprecated field"
    return result.stdout


@cache
def template(*names: str, options: tuple[str, ...] = ()) -> str:
    """Returns the YAML of the chart for the values files of these names, the last over the others.

    Raises `ChartError` with helm's message if the chart refuses the values.
    """
    files = [f"--values={CHART / 'values' / name}.yaml" for name in names]
    command = [tool("helm"), "template", "qa-worker", str(CHART), *files, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise ChartError(result.stderr)
    assert result.stderr == "", "helm warns"
    return result.stdout


def parsed(text: str) -> list[Resource]:
    """The resources of a YAML text. libyaml takes a sixth of the time of the parser in Python."""
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


class ChartError(Exception):
    """Helm does not render the chart."""


@cache
def all_resources(overlay: str) -> list[Resource]:
    return parsed(rendered(overlay))


def resources(overlay: str, kind: str) -> list[Resource]:
    """Returns the resources of a kind."""
    return [resource for resource in all_resources(overlay) if resource["kind"] == kind]


def only_resource(overlay: str, kind: str) -> Resource:
    """Returns the only resource of a kind. Raises `ValueError` if there is not exactly one."""
    (resource,) = resources(overlay, kind)
    return resource


def workload(overlay: str) -> Resource:
    """Returns the Deployment or the StatefulSet of the worker."""
    (only,) = resources(overlay, "Deployment") + resources(overlay, "StatefulSet")
    return only


def pod(overlay: str) -> Resource:
    """Returns the specification of the worker's pods."""
    return dict(workload(overlay)["spec"]["template"]["spec"])


def containers(overlay: str) -> list[Resource]:
    """Returns all containers of the worker's pods, init containers first."""
    spec = pod(overlay)
    return [*spec.get("initContainers", []), *spec["containers"]]


def worker(overlay: str) -> Resource:
    """Returns the worker's container."""
    (container,) = (c for c in pod(overlay)["containers"] if c["name"] == "worker")
    return dict(container)


def settings(overlay: str, files: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the worker's environment, from the ConfigMap and from the container.

    The value of a variable from a Secret is the name of its key, of one from the pod `qa-worker-0`.
    `files` replaces paths.
    """
    container = worker(overlay)
    (source,) = container["envFrom"]
    config = only_resource(overlay, "ConfigMap")
    assert source["configMapRef"]["name"] == config["metadata"]["name"]
    of_container = {
        variable["name"]: variable.get("value") or _referred(variable["valueFrom"])
        for variable in container.get("env", [])
    }
    environment = {**config["data"], **of_container}
    return {name: (files or {}).get(value, value) for name, value in environment.items()}


def _referred(source: Resource) -> str:
    if "fieldRef" in source:
        assert source["fieldRef"] == {"fieldPath": "metadata.name"}
        return "qa-worker-0"
    return str(source["secretKeyRef"]["key"])


def selects(selector: Resource, overlay: str) -> bool:
    """Returns whether a label selector matches the worker's pods. An empty one does not count."""
    labels = workload(overlay)["spec"]["template"]["metadata"]["labels"]
    match_labels = selector.get("matchLabels", {})
    return bool(match_labels) and match_labels.items() <= labels.items()


def quantity(text: str) -> Decimal:
    """Converts Kubernetes' `500m`, `2` or `512Mi` to cores or bytes."""
    match = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text)
    assert match, text
    return Decimal(match[1]) * _UNITS[match[2]]
