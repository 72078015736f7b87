"""The schema of the chart's values. Unknown keys and unknown settings are refused.

The names of settings are those that the worker has. A secret has only its `..._FILE` here, since
`settings` becomes a ConfigMap.
"""

import json
from typing import Any

from worker.settings.environment import variables

Schema = dict[str, Any]

OTHER_SETTINGS = (
    r"^((OTEL|AWS)_[A-Z0-9_]+|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR))$"
)
"""Variables that libraries of the worker read."""

_TEXT: Schema = {"type": "string"}
_ANY: Schema = {"type": "object"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
_VARIABLE_NAME = "^[A-Za-z_][A-Za-z0-9_]*$"
_VOLUME_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


def text() -> str:
    """The file's content: JSON."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> Schema:
    """The schema of values.yaml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart qa-worker",
        # Of a chart that has this one as a dependency.
        **_closed(global_=_ANY, enabled=_FLAG, **_workload(), **_around()),
    }


def _workload() -> dict[str, Schema]:
    volume = _closed(mountPath=_TEXT, readOnly=_FLAG, subPath=_TEXT, source=_ANY)
    volume["required"] = ["mountPath", "source"]
    return {
        "fullnameOverride": _TEXT,
        "image": _image(pullPolicy=_one_of("Always", "IfNotPresent", "Never")),
        "imagePullSecrets": _list(_closed(name=_TEXT)),
        "settings": _settings(),
        "env": _named(_VARIABLE_NAME, _closed(value=_TEXT, valueFrom=_ANY)),
        "volumes": _named(_VOLUME_NAME, volume),
        "workload": _closed(
            kind=_one_of("Deployment", "StatefulSet"), replicas={"type": "integer", "minimum": 0}
        ),
        "resources": _closed(requests=_ANY, limits=_ANY),
        "podAnnotations": _TEXTS,
        "podLabels": _TEXTS,
        "nodeSelector": _TEXTS,
        "tolerations": _list(_ANY),
        "affinity": _ANY,
        "priorityClassName": _TEXT,
        "serviceAccount": _closed(annotations=_TEXTS),
    }


def _around() -> dict[str, Schema]:
    return {
        "scaler": _closed(
            kind=_one_of("none", "keda", "hpa"),
            minReplicas={"type": ["integer", "null"], "minimum": 0},
            maxReplicas=_positive(),
            keda=_closed(
                questionsPerSecond=_positive(),
                targetDelaySeconds=_positive(),
                topicTargetDelaySeconds={
                    "type": "object",
                    "additionalProperties": _positive(),
                },
                pollingInterval=_positive(),
                cooldownPeriod=_positive(),
                metadata=_TEXTS,
                authentication=_ANY,
            ),
            hpa=_closed(averageUtilization={"type": "integer", "minimum": 1, "maximum": 100}),
        ),
        "networkPolicy": _closed(
            enabled=_FLAG,
            metricsFrom={**_list(_ANY), "minItems": 1},
            egress={"type": "object", "additionalProperties": _nullable(_rule())},
        ),
        "service": _closed(name=_TEXT),
        "podMonitor": _closed(enabled=_FLAG, labels=_TEXTS),
        "prometheusRule": _closed(
            enabled=_FLAG, labels=_TEXTS, runbookPrefix={**_TEXT, "pattern": "^$|/$"}
        ),
        "modelVolume": _closed(
            enabled=_FLAG,
            image=_image(),
            repository=_TEXT,
            revision=_TEXT,
            source=_ANY,
            resources=_ANY,
        ),
    }


def _settings() -> Schema:
    names: dict[str, Schema] = {}
    for variable in variables():
        name = f"{variable.name}_FILE" if variable.secret else variable.name
        meaning = f"A file with it: {variable.meaning}" if variable.secret else variable.meaning
        names[name] = {**_SCALAR, "description": meaning}
    return {
        "type": "object",
        "properties": names,
        "patternProperties": {OTHER_SETTINGS: _SCALAR},
        "additionalProperties": False,
    }


def _image(**properties: Schema) -> Schema:
    digest = {**_TEXT, "pattern": "^$|^sha256:[0-9a-f]{64}$"}
    return _closed(repository=_TEXT, tag=_TEXT, digest=digest, **properties)


def _rule() -> Schema:
    """A rule of egress. It names ports, as an open rule would allow everything."""
    rule = _closed(to=_list(_ANY), ports={**_list(_ANY), "minItems": 1})
    return {**rule, "required": ["ports"]}


def _closed(**properties: Schema) -> Schema:
    names = {name.rstrip("_"): schema for name, schema in properties.items()}
    return {"type": "object", "properties": names, "additionalProperties": False}


def _named(pattern: str, schema: Schema) -> Schema:
    """A map by name. Null removes an entry of a values file before."""
    entries = {pattern: _nullable(schema)}
    return {"type": "object", "patternProperties": entries, "additionalProperties": False}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_of(*values: str) -> Schema:
    return {"enum": list(values)}


def _positive() -> Schema:
    return {"type": "integer", "minimum": 1}
