"""Reads deploy/Dockerfile, as far as that goes: stages, and their instructions.

What it does not know it refuses, so that no step is passed over in silence.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DOCKERFILE = Path(__file__).parent.parent.parent / "deploy" / "Dockerfile"

_KNOWN = {
    *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN"),
    *("STOPSIGNAL", "USER", "WORKDIR"),
}
_FLAG = re.compile(r"--([a-z-]+)=(\S+)\s+")
_PAIR = re.compile(r'([\w.]+)=("[^"]*"|\S*)')
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


@dataclass(frozen=True, slots=True)
class Instruction:
    name: str
    flags: Mapping[str, str]
    rest: str

    @property
    def words(self) -> list[str]:
        """Those of the exec form, or else of a list with spaces."""
        return json.loads(self.rest) if self.rest.startswith("[") else self.rest.split()

    @property
    def pairs(self) -> dict[str, str]:
        return {key: value.strip('"') for key, value in _PAIR.findall(self.rest)}


@dataclass(slots=True)
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction:
        """The one that counts."""
        return [one for one in self.instructions if one.name == name][-1]


def read_stages(text: str, arguments: Mapping[str, str] | None = None) -> list[Stage]:
    """`arguments` are those of `--build-arg`. Raises `ValueError` at what is not known here."""
    given = arguments or {}
    first: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(text):
        if instruction.name == "FROM":
            base, *alias = expand(instruction.rest, first).split()
            stages.append(Stage(base, alias[1] if alias else ""))
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.name == "ARG":
            first |= argument(instruction, given)
        else:
            raise ValueError(f"{instruction.name} before FROM")
    return stages


def argument(instruction: Instruction, given: Mapping[str, str]) -> dict[str, str]:
    """What an ARG sets."""
    name, _, default = instruction.rest.partition("=")
    return {name: given.get(name, default.strip('"'))}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """With `$NAME` and `${NAME}` in place. Raises `ValueError` at other ways to write one."""
    expanded = _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)
    if "${" in expanded:
        raise ValueError(f"a kind of variable that is not known here: {expanded}")
    return expanded


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        name, rest = line.split(maxsplit=1)
        if name not in _KNOWN or "<<" in rest:
            raise ValueError(f"an instruction that is not known here: {line}")
        flags = {}
        while flag := _FLAG.match(rest):
            flags[flag[1]] = flag[2]
            rest = rest[flag.end() :]
        found.append(Instruction(name, flags, rest.strip()))
    return found
