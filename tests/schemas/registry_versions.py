"""The schemas of each version for a schema registry.

Versions before 1.2 published none: theirs are the present ones with the fields that the version's
JSON Schema has.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.generate.files import PUBLISHED

Fields = Mapping[str, set[str]]
"""Name of a model to the names of its fields."""


def schema_of(version: Path, name: str, end: str) -> str:
    """The text of a version's file, as `answer.avsc`."""
    if (recorded := version / f"{name}{end}").exists():
        return recorded.read_text()
    fields = _fields(json.loads((version / f"{name}.schema.json").read_text()))
    text = (PUBLISHED / f"{name}{end}").read_text()
    if end == ".proto":
        return _restrict_proto(text, fields)
    restrict = _restrict_avro if end == ".avsc" else _restrict_json
    return json.dumps(restrict(json.loads(text), fields))


def _fields(schema: Any) -> Fields:
    models = {schema["title"]: schema, **schema.get("$defs", {})}
    return {name: set(each.get("properties", {})) for name, each in models.items()}


def _restrict_avro(schema: Any, fields: Fields) -> Any:
    if isinstance(schema, list):
        return [_restrict_avro(each, fields) for each in schema]
    if not isinstance(schema, dict):
        return schema
    restricted = {name: _restrict_avro(each, fields) for name, each in schema.items()}
    if schema.get("type") == "record":
        had = fields.get(schema["name"], set())
        restricted["fields"] = [each for each in restricted["fields"] if each["name"] in had]
        for each in restricted["fields"]:
            if each["name"] == "options":
                options = fields["ReadingOptions"]
                each["default"] = {k: v for k, v in each["default"].items() if k in options}
    return restricted


def _restrict_json(schema: Any, fields: Fields) -> Any:
    def restrict(model: dict[str, Any], had: set[str]) -> dict[str, Any]:
        properties = {name: each for name, each in model["properties"].items() if name in had}
        return {**model, "properties": properties}

    definitions = {
        name: restrict(each, fields[name]) if "properties" in each else each
        for name, each in schema["definitions"].items()
        if name in fields
    }
    return {**restrict(schema, fields[schema["title"]]), "definitions": definitions}


def _restrict_proto(text: str, fields: Fields) -> str:
    return "".join(_proto_lines(text, fields))


def _proto_lines(text: str, fields: Fields) -> Iterator[str]:
    within: list[str] = []
    for line in text.splitlines(keepends=True):
        words = line.split()
        if words[:1] == ["message"]:
            within.append(words[1])
        field = re.fullmatch(r"\s*[\w. ]+ (\w+) = \d+;\n", line)
        had = fields.get(within[-1]) if within else None
        if not within or (had is not None and (field is None or field[1] in had)):
            yield line
        if words == ["}"]:
            within.pop()
