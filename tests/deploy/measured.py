"""The figures of deploy/measured.toml."""

import tomllib
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "deploy" / "measured.toml"


def figures(group: str) -> dict[str, int]:
    """Returns the values of `throughput` (questions/s) or `peak_memory` (MiB), by name."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(PATH.read_text("utf-8"))[group]
    return {name: int(table["value"]) for name, table in tables.items()}
