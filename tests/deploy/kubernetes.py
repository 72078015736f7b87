"""The resources of deploy/kubernetes, rendered as `kubectl apply -k` would apply them."""

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
"""Everything that can be applied, by its path below deploy/kubernetes."""

Resource = dict[str, Any]

_UNITS = {"m": Decimal("0.001"), "": Decimal(1), "Mi": Decimal(2**20), "Gi": Decimal(2**30)}


@cache
def rendered(overlay: str | Path) -> str:
    """The YAML of one overlay, or of a directory elsewhere."""
    program = tool("kubectl", "kustomize")
    verb = "kustomize" if Path(program).name == "kubectl" else "build"
    done = subprocess.run([program, verb, ROOT / overlay], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a warning: something there is deprecated"
    return done.stdout


@cache
def everything(overlay: str) -> list[Resource]:
    return list(yaml.safe_load_all(rendered(overlay)))


def resources(overlay: str, kind: str) -> list[Resource]:
    return [resource for resource in everything(overlay) if resource["kind"] == kind]


def the(overlay: str, kind: str) -> Resource:
    """The only one of its kind."""
    (found,) = resources(overlay, kind)
    return found


def pod(overlay: str) -> Resource:
    """The specification of the worker's pods."""
    return dict(the(overlay, "Deployment")["spec"]["template"]["spec"])


def containers(overlay: str) -> list[Resource]:
    """All that run in a pod, those that prepare it first."""
    its = pod(overlay)
    return [*its.get("initContainers", []), *its["containers"]]


def worker(overlay: str) -> Resource:
    (found,) = (one for one in pod(overlay)["containers"] if one["name"] == "worker")
    return dict(found)


def settings(overlay: str, files: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of the worker: from its ConfigMap, and variables of its own.

    What comes from a Secret is the name of its key; paths are looked up in `files`.
    """
    its = worker(overlay)
    (source,) = its["envFrom"]
    config = the(overlay, "ConfigMap")
    assert source["configMapRef"]["name"] == config["metadata"]["name"]
    own = {
        variable["name"]: variable.get("value") or variable["valueFrom"]["secretKeyRef"]["key"]
        for variable in its.get("env", [])
    }
    environment = {**config["data"], **own}
    return {name: (files or {}).get(value, value) for name, value in environment.items()}


def selects(selector: Resource, overlay: str) -> bool:
    """Whether a label selector names labels, and only ones that the worker's pods have."""
    labels = the(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    wanted = selector.get("matchLabels", {})
    return bool(wanted) and wanted.items() <= labels.items()


def quantity(text: str) -> Decimal:
    """Kubernetes' `500m`, `2` and `512Mi`, in cores or bytes."""
    found = re.fullmatch(r"(\d+)(m|Mi|Gi|)", text)
    assert found, text
    return Decimal(found[1]) * _UNITS[found[2]]
