"""Reads the JSON files of a published model."""

import json
from pathlib import Path
from typing import Any

from worker.models.bundle import BundleError


def read_json_object(path: Path) -> dict[str, Any]:
    """The parsed file. Raises `BundleError` if it is not a JSON object, `FileNotFoundError`."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise BundleError(f"{path}: not a JSON object")
    return content


def read_json(path: Path) -> Any:
    """The parsed file. Raises `BundleError` if it is not JSON, `FileNotFoundError`."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}") from None
