"""The schemas of Kubernetes, KEDA and the Prometheus operator, as kubeconform takes them.

`.ci/tools` fetches what they publish: JSON schemas beside one large file of definitions that all of
them refer to, and definitions of custom resources, which have OpenAPI's schemas.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.tools import tool_file

VERSIONS = ("1.32.0", "1.37.0")
"""Of Kubernetes, the oldest and the newest that the manifests are held against."""

_REFERENCE = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')

_FILE = "{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json"

Schema = dict[str, Any]


def write_schemas(kinds: set[tuple[str, str]], directory: Path) -> str:
    """Writes those of `kinds` (apiVersion, kind); returns kubeconform's `-schema-location`."""
    custom = _custom_resources()
    for version in VERSIONS:
        published = tool_file("kubernetes") / f"v{version}-local-strict"
        definitions = json.loads((published / "_definitions.json").read_text())["$defs"]
        (directory / f"v{version}").mkdir()
        for api, kind in kinds:
            group, _, number = api.rpartition("/")
            name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number])) + ".json"
            schema = custom.get((api, kind)) or _alone(published / name, definitions)
            (directory / f"v{version}" / name).write_text(json.dumps(schema))
    return f"{directory}/{_FILE}"


def _alone(path: Path, definitions: Schema) -> Schema:
    """A published schema with those definitions that it refers to, and no others."""
    text = path.read_text()
    needed: Schema = {}
    unseen = _REFERENCE.findall(text)
    while unseen:
        name = unseen.pop()
        if name not in needed:
            needed[name] = definitions[name]
            unseen += _REFERENCE.findall(json.dumps(definitions[name]))
    schema: Schema = json.loads(_REFERENCE.sub(r'"#/$defs/\1"', text))
    schema["$defs"] = needed
    return schema


def _custom_resources() -> dict[tuple[str, str], Schema]:
    schemas = {}
    for path in tool_file("kubernetes/crds").iterdir():
        its = yaml.safe_load(path.read_text())["spec"]
        for version in its["versions"]:
            api = f"{its['group']}/{version['name']}"
            schemas[api, its["names"]["kind"]] = _strict(version["schema"]["openAPIV3Schema"])
    return schemas


def _strict(schema: Any) -> Any:
    """With no room for fields that it does not name, which a server drops without a word."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    is_open = strict.get("x-kubernetes-preserve-unknown-fields", False)
    if strict.get("type") == "object" and "properties" in strict and not is_open:
        strict.setdefault("additionalProperties", False)
    return strict
