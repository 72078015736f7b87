"""Validates documents against the published schemas, with the package jsonschema."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from schemas.generate.files import PUBLISHED


@cache
def validator(path: Path) -> Draft202012Validator:
    """A validator for the schema in this file, after checking the schema itself."""
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def published(name: str) -> Draft202012Validator:
    """`question`, `text`, `answer`, `embedding` or `dead-letter-headers`."""
    return validator(PUBLISHED / f"{name}.schema.json")


def faults(of: Validator, document: Any) -> list[str]:
    """Errors of the document, each with its path."""
    return [f"{error.json_path}: {error.message}" for error in of.iter_errors(document)]
