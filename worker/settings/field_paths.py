"""Parses `QA_FIELDS`. Pure."""

from collections.abc import Mapping

from schemas.question import Question
from schemas.text import Text

EVENT_FIELDS = frozenset(Question.model_fields) | frozenset(Text.model_fields)
"""What can be mapped: the fields of an event itself, not those of its options."""


def parse_field_paths(text: str) -> Mapping[str, tuple[str, ...]]:
    """Field to path, as `question=query.text,context=body` states. Raises `ValueError`.

    A dot in a name is written `\\.`.
    """
    paths: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, path = part.partition("=")
        names = tuple(_split(path.strip()))
        name = name.strip()
        if not equals or not name or not all(names):
            raise ValueError(f"{part!r} is not FIELD=PATH, such as question=query.text")
        if name not in EVENT_FIELDS:
            known = ", ".join(sorted(EVENT_FIELDS))
            raise ValueError(f"{name!r} is not a field of an event, which are {known}")
        if name in paths:
            raise ValueError(f"{name} is mapped twice")
        paths[name] = names
    return paths


def _split(path: str) -> list[str]:
    names = [""]
    escaped = False
    for character in path:
        if escaped or character not in "\\.":
            names[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            names.append("")
    return names
