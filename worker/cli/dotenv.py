"""Files of `KEY=VALUE` lines, as compose reads an `env_file`. Nothing is expanded in them."""

import re
from collections.abc import Mapping
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_QUOTED = re.compile(r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)")\s*(?:\#.*)?""")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_env_file(path: Path) -> tuple[Mapping[str, str], list[str]]:
    """The variables, and what is wrong with the lines, without their values: those may be secrets.

    Raises `OSError`.
    """
    found: dict[str, str] = {}
    places: dict[str, int] = {}
    problems = []
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            problems.append(f"line {number} is no KEY=VALUE")
            continue
        name, value = match[1], _value(match[2])
        if value is None:
            problems.append(f"line {number}: the quotes of {name} do not end where it does")
            continue
        if name in places:
            problems.append(f"line {number}: {name} is set again, after line {places[name]}")
        found[name], places[name] = value, number
    return found, problems


def _value(text: str) -> str | None:
    """Without quotes and comment; `None` where a quote has no other."""
    if text[:1] not in ("'", '"'):
        return _COMMENT.sub("", text).rstrip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        return None
    if quoted[1] is not None:
        return quoted[1]
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), quoted[2])
