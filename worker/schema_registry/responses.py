"""What the answers of a registry say, and the errors that they lead to. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.schema_registry.decoding import MAX_SCHEMA_BYTES, UnusableSchemaError

_AVRO = "AVRO"
"""The type of schemas for which the registry names none."""


class RegistryUnavailableError(Exception):
    """No registry gave an answer that settles the question; the message says what each said."""


SETTINGS_TO_CORRECT = (
    "correct SCHEMA_REGISTRY_URL, the login (SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO, "
    "SCHEMA_REGISTRY_BEARER_AUTH_TOKEN) or the certificates (SCHEMA_REGISTRY_SSL_...)"
)
"""What to do about `RegistryRefusesError` at the start of a worker, or in a command."""


class RegistryRefusesError(RegistryUnavailableError):
    """A registry refuses the worker, or what answers is not a registry: at the start of a worker
    that is an error of its settings, later something that its operator may be changing.
    """


class NoSuchPathError(RegistryRefusesError):
    """The registry, or what answers in its place, has no such path."""


class UnknownSchemaError(LookupError):
    """The registry does not have the schema."""


def parse_object(body: bytes) -> dict[str, Any]:
    """Raises `RegistryUnavailableError` if it is not a JSON object."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RegistryUnavailableError("answers something other than a JSON object")
    return document


def error_code(body: bytes) -> int:
    """The registry's own code: 40401 subject not found, 40402 version, 40403 schema. 404 is that of
    a path that it does not have; 0 if the answer is of something else, such as a proxy before it.
    """
    try:
        return int(parse_object(body)["error_code"])
    except (RegistryUnavailableError, KeyError, TypeError, ValueError, OverflowError):
        return 0


def error_message(body: bytes) -> str:
    """The registry's own text, in one line; empty if the answer is of something else."""
    try:
        text = str(parse_object(body).get("message", ""))
    except RegistryUnavailableError:
        return ""
    # JSON may hold a lone surrogate, which neither a page nor a header can.
    return " ".join(text.encode("utf-8", "replace").decode().split())[:500]


def schema_text(found: Mapping[str, Any]) -> str:
    """Raises `RegistryUnavailableError`, and `UnusableSchemaError` for a text above the limit."""
    text = found.get("schema")
    if not isinstance(text, str):
        raise RegistryUnavailableError("answers without a schema")
    if len(text) > MAX_SCHEMA_BYTES:
        raise UnusableSchemaError(
            f"a schema of {len(text)} characters; the limit is {MAX_SCHEMA_BYTES}"
        )
    return text


def schema_kind(found: Mapping[str, Any]) -> str:
    """AVRO, JSON or PROTOBUF; a registry may have more. Raises `RegistryUnavailableError`."""
    kind = found.get("schemaType") or _AVRO
    if not isinstance(kind, str):
        raise RegistryUnavailableError("answers with a type of schema that is not a text")
    return kind


def schema_id(found: Mapping[str, Any]) -> int:
    """Raises `RegistryUnavailableError`."""
    number = found.get("id")
    if not isinstance(number, int) or not 0 <= number < 2**32:
        raise RegistryUnavailableError("answers without an id of 4 bytes")
    return number


@dataclass(frozen=True, slots=True)
class Reference:
    """From a schema to another."""

    name: str
    """Of the other schema, in this one's text."""
    subject: str
    version: int


def references(found: Mapping[str, Any]) -> list[Reference]:
    """The schemas that one refers to. Raises `RegistryUnavailableError`."""
    try:
        return [
            Reference(str(each["name"]), str(each["subject"]), int(each["version"]))
            for each in found.get("references") or ()
        ]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise RegistryUnavailableError("answers with references of another form") from None


def combined(errors: Sequence[RegistryUnavailableError]) -> RegistryUnavailableError:
    """What several registries answered. A path that one does not have may be there at another."""
    text = "; ".join(map(str, errors))
    kinds = {type(each) for each in errors}
    if len(kinds) == 1:
        return kinds.pop()(text)
    refused = any(isinstance(each, RegistryRefusesError) for each in errors)
    return RegistryRefusesError(text) if refused else RegistryUnavailableError(text)
