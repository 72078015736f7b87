"""The files of `schemas/published`, as the code gives them."""

import json
from pathlib import Path

import yaml

from schemas.generate.asyncapi import asyncapi
from schemas.generate.avro_schemas import avro_schemas
from schemas.generate.json_schemas import registry_schemas, schemas
from schemas.generate.proto_files import proto_files

PUBLISHED = Path(__file__).parents[1] / "published"


def files() -> dict[str, str]:
    """File name to text."""
    documents = {
        **{f"{name}.schema.json": schema for name, schema in schemas().items()},
        **{f"{name}.registry.json": schema for name, schema in registry_schemas().items()},
        **{f"{name}.avsc": schema for name, schema in avro_schemas().items()},
    }
    texts = {
        **{
            name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            for name, document in documents.items()
        },
        **{f"{name}.proto": text for name, text in proto_files().items()},
    }
    head = "# Generated from the code by `make generate`\n"
    document = yaml.dump(asyncapi(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return {**texts, "asyncapi.yaml": head + document}


class _Plain(yaml.SafeDumper):
    """Writes no anchors and aliases: many YAML parsers do not resolve them."""

    def ignore_aliases(self, _data: object) -> bool:
        return True
