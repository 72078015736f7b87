"""Every figure of deploy/measured.toml has a unit, and a command that exists."""

import importlib.util
import re
import tomllib
from typing import Any

import pytest

from tests.deploy.measured import PATH

UNITS = {"throughput": "questions/s", "peak_memory": "MiB"}
MAKEFILE = PATH.parents[1] / "Makefile"


def tables() -> list[Any]:
    return [
        pytest.param(group, table, id=f"{group}.{name}")
        for group, entries in tomllib.loads(PATH.read_text("utf-8")).items()
        for name, table in entries.items()
    ]


@pytest.mark.parametrize(("group", "table"), tables())
def test_figure_has_a_unit_and_a_command(group: str, table: dict[str, Any]) -> None:
    assert table.keys() == {"value", "unit", "of", "command"}
    assert table["unit"] == UNITS[group]
    if match := re.match(r"make (\S+)", table["command"]):
        assert f"\n{match[1]}:" in MAKEFILE.read_text("utf-8")
    else:
        (module,) = re.findall(r"^python -m (\S+)", table["command"])
        assert importlib.util.find_spec(module)
