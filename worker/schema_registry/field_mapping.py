"""Takes an event's fields from where a foreign schema has them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MISSING = object()


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """`paths` maps a field of the event to the names that lead to it in the document."""

    paths: Mapping[str, tuple[str, ...]]

    def apply(self, document: Any) -> Any:
        """The document with the mapped fields on top, in place of fields with these names.

        A path that the document does not have leaves its field out; the event's schema says then
        what is missing.
        """
        if not self.paths or not isinstance(document, dict):
            return document
        mapped = {name: _follow(document, path) for name, path in self.paths.items()}
        rest = {name: value for name, value in document.items() if name not in mapped}
        return rest | {name: value for name, value in mapped.items() if value is not _MISSING}


def _follow(document: Any, path: tuple[str, ...]) -> Any:
    value = document
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value
