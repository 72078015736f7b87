"""The files of `schemas/published`, as the code gives them."""

import json
from pathlib import Path

import yaml

from schemas.generate.asyncapi import asyncapi
from schemas.generate.json_schemas import schemas

PUBLISHED = Path(__file__).parents[1] / "published"


def files() -> dict[str, str]:
    """File name to text."""
    texts = {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }
    head = "# Generated from the code by `make generate`\n"
    document = yaml.dump(asyncapi(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return {**texts, "asyncapi.yaml": head + document}


class _Plain(yaml.SafeDumper):
    """Writes no anchors and aliases: many YAML parsers do not resolve them."""

    def ignore_aliases(self, _data: object) -> bool:
        return True
