"""Whether a document is what a published schema says, by a validator that is not ours."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from schemas.generate.files import PUBLISHED


@cache
def validator(path: Path) -> Draft202012Validator:
    """For the schema in this file, which is checked first."""
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def published(name: str) -> Draft202012Validator:
    """`question`, `text`, `answer`, `embedding` or `dead-letter-headers`."""
    return validator(PUBLISHED / f"{name}.schema.json")


def faults(of: Draft202012Validator, document: Any) -> list[str]:
    """What is wrong with the document, where it is."""
    return [f"{error.json_path}: {error.message}" for error in of.iter_errors(document)]
