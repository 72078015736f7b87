"""Stops decoding when the value would exceed its limit as JSON. Pure.

Avro and Protobuf do not repeat names: a field of an enum with a long symbol, or a record of a
thousand fields without a value, takes a byte or none. As JSON, a megabyte of them is gigabytes.
Decoders count the names that they write; what they copy from the value is not larger than the
value.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from worker.schema_registry.decoding import UndecodableValueError, ValueTooLargeError

_value = threading.local()


def start(max_bytes: int) -> None:
    """Begin a value on this thread."""
    _value.max_bytes = _value.left = max_bytes
    _value.depth = 0
    _value.has_nested = False


def count(size: int) -> None:
    """Count bytes of JSON. Raises `ValueTooLargeError`."""
    _value.left -= size
    if _value.left < 0:
        raise ValueTooLargeError(f"the value has more than {_value.max_bytes} bytes as JSON")


@contextmanager
def nested(max_depth: int) -> Iterator[None]:
    """Count a value within the value. Raises `UndecodableValueError` above `max_depth`."""
    if _value.depth == max_depth:
        raise UndecodableValueError("the value is nested too deeply")
    _value.depth += 1
    _value.has_nested = True
    try:
        yield
    finally:
        _value.depth -= 1


def has_nested() -> bool:
    """Whether the value has values within it, so that limits of nesting began anew."""
    return bool(_value.has_nested)
