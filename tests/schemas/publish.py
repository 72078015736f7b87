"""`schemas/published`, from the code. `python -m tests.schemas.publish` writes it."""

import json
from pathlib import Path

import yaml

from tests.schemas.asyncapi import asyncapi
from tests.schemas.json_schemas import schemas

PUBLISHED = Path(__file__).parents[2] / "schemas" / "published"


def files() -> dict[str, str]:
    """File name to text."""
    texts = {
        f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas().items()
    }
    head = "# From the code, by: python -m tests.schemas.publish\n"
    document = yaml.dump(asyncapi(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return {**texts, "asyncapi.yaml": head + document}


class _Plain(yaml.SafeDumper):
    """Writes everything out: no anchors, which many readers of YAML do not know."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


if __name__ == "__main__":
    PUBLISHED.mkdir(exist_ok=True)
    for name, text in files().items():
        (PUBLISHED / name).write_text(text)
