"""Reads files of `KEY=VALUE` lines, such as the `env_file` of compose, for `settings --check`.

python-dotenv's `dotenv_values` drops line numbers and duplicate names, so this uses its parser.
Nothing is expanded in values.
"""

import io
from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import parse_stream


def read_env_file(path: Path) -> tuple[Mapping[str, str], list[str]]:
    """The variables, and one message for each line that is wrong. If a name repeats, its last
    value counts. Messages contain no values, which may be secrets.

    Raises `OSError`.
    """
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems = []
    text = path.read_bytes().decode("utf-8-sig", "replace")
    for binding in parse_stream(io.StringIO(text)):
        line, name = binding.original.line, binding.key
        if binding.error or (name is not None and binding.value is None):
            problems.append(f"line {line} is not KEY=VALUE, or its quotes are not closed")
        elif name is not None and binding.value is not None:
            if name in values:
                problems.append(f"line {line}: {name} is already set in line {lines[name]}")
            values[name], lines[name] = binding.value, line
    return values, problems
