"""Converts the schemas of Kubernetes, KEDA, the Prometheus operator and Strimzi for kubeconform.

`.ci/tools` downloads the published files: JSON schemas that refer to one large file of definitions,
and definitions of custom resources with OpenAPI schemas.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.deploy.kubernetes import parsed
from tests.tools import tool, tool_file

VERSIONS = ("1.32.0", "1.37.0")
"""The oldest and the newest version of Kubernetes that the manifests are validated for."""

_REFERENCE = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')

_FILE = "{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json"

Schema = dict[str, Any]


def write_schemas(kinds: set[tuple[str, str]], directory: Path) -> str:
    """Writes the schemas of `kinds` (apiVersion, kind) to `directory`.

    Returns the value of kubeconform's option `-schema-location`.
    """
    custom = _custom_resources()
    for version in VERSIONS:
        published = tool_file("kubernetes") / f"v{version}-local-strict"
        definitions = json.loads((published / "_definitions.json").read_text())["$defs"]
        (directory / f"v{version}").mkdir()
        for api, kind in kinds:
            group, _, number = api.rpartition("/")
            name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number])) + ".json"
            schema = custom.get((api, kind)) or _self_contained(published / name, definitions)
            (directory / f"v{version}" / name).write_text(json.dumps(schema))
    return f"{directory}/{_FILE}"


def validate(text: str, schemas: str, version: str) -> tuple[int, str]:
    """Returns kubeconform's exit code and output. An unknown kind is an error."""
    program = tool("kubeconform")
    options = ["-strict", "-summary", "-kubernetes-version", version, "-schema-location", schemas]
    result = subprocess.run([program, *options], input=text, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr


def _self_contained(path: Path, definitions: Schema) -> Schema:
    """Returns a published schema with the definitions that it refers to."""
    text = path.read_text()
    needed: Schema = {}
    pending = _REFERENCE.findall(text)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed[name] = definitions[name]
            pending += _REFERENCE.findall(json.dumps(definitions[name]))
    schema: Schema = json.loads(_REFERENCE.sub(r'"#/$defs/\1"', text))
    schema["$defs"] = needed
    return schema


@cache
def _custom_resources() -> dict[tuple[str, str], Schema]:
    schemas = {}
    for path in tool_file("kubernetes/crds").iterdir():
        (definition,) = parsed(path.read_text())
        spec = definition["spec"]
        for version in spec["versions"]:
            api = f"{spec['group']}/{version['name']}"
            schemas[api, spec["names"]["kind"]] = _strict(version["schema"]["openAPIV3Schema"])
    return schemas


def _strict(schema: Any) -> Any:
    """Returns the schema without additional properties, which a server would drop silently."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    is_open = strict.get("x-kubernetes-preserve-unknown-fields", False)
    if strict.get("type") == "object" and "properties" in strict and not is_open:
        strict.setdefault("additionalProperties", False)
    return strict
