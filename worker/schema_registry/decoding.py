"""What the decoders of all formats share. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_SCHEMA_BYTES = 1_000_000
"""Size of a schema with its references. Schema Registry's own limit is 1 MB."""

MAX_REFERENCES = 100
"""Schemas that one schema refers to, over all levels."""

MAX_DECODED_BYTES = 4 * 1024 * 1024
"""Size of a decoded value as JSON, unless a caller gives its own."""

MAX_DEPTH = 200
"""Nesting of a decoded value: the limit of JSON values as well."""


class UnusableSchemaError(ValueError):
    """The registry has the schema, but no value can be decoded with it; the message says why."""


class UndecodableValueError(ValueError):
    """The value is not one of its schema; the message says why."""


class ValueTooLargeError(UndecodableValueError):
    """The value would exceed its limit as JSON."""


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema as the registry returns it, with the schemas that it refers to."""

    kind: str
    """AVRO, JSON or PROTOBUF."""
    text: str
    references: Mapping[str, str] = field(default_factory=dict)
    """Name in the schema to text of the referred schema, the referred ones first."""

    @property
    def characters(self) -> int:
        """Of the schema and those that it refers to."""
        return len(self.text) + sum(map(len, self.references.values()))


Decode = Callable[[bytes], Any]
"""Returns the value as JSON has values. Raises `UndecodableValueError`, and nothing else."""


def is_deeper(value: Any, levels: int) -> bool:
    """Whether the value has more levels of lists and objects."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(is_deeper(each, levels - 1) for each in value)
