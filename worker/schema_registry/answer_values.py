"""Values of answers as JSON, in whatever format the worker wrote them.

For what reads an answers topic: the client of the commands and the console, and comparisons.
Without SCHEMA_REGISTRY_URL it loads none of the packages that the formats need.
"""

import importlib.util
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from schemas.event import Outcome
from schemas.rejection import Header
from worker.schema_registry.framing import FramingError, SchemaRef, read_frame
from worker.settings import Settings, SettingsError

if TYPE_CHECKING:
    from worker.schema_registry.describing import ValueDescriber

REGISTRY_EXTRA = 'pip install "qa-worker[registry]"'


def has_registry_extra() -> bool:
    """Whether the packages are there that read and write Avro and Protobuf."""
    return importlib.util.find_spec("fastavro") is not None


class UnreadableAnswerError(Exception):
    """The value names a schema and cannot be decoded; the message says why."""


class RegistryAwayError(UnreadableAnswerError):
    """The registry does not answer: a later try may succeed."""


class AnswerValues:
    """`async with AnswerValues.open(settings) as values`."""

    def __init__(self, describer: "ValueDescriber | None") -> None:
        """None: no registry is configured."""
        self._describer = describer

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Raises `SettingsError` if the extra `registry` is needed and not installed."""
        if not settings.schema_registry.url:
            yield cls(None)
            return
        if not has_registry_extra():
            raise SettingsError(f"SCHEMA_REGISTRY_URL needs the extra: {REGISTRY_EXTRA}")
        from worker.schema_registry.describing import ValueDescriber

        async with ValueDescriber.open(settings, with_defaults=True) as describer:
            yield cls(describer)

    async def to_json(self, value: bytes | None, headers: Sequence[Header]) -> bytes | None:
        """The value itself if it names no schema.

        Raises `UnreadableAnswerError`; `RegistryAwayError` within the registry's request timeout.
        """
        if value is None:
            return None
        if self._describer is None:
            try:
                frame = read_frame(value, headers)
            except FramingError as error:
                raise UnreadableAnswerError(str(error)) from None
            if frame is None:
                return value
            raise UnreadableAnswerError(
                f"it names the schema with {schema_name(frame.schema)}, and SCHEMA_REGISTRY_URL is "
                f"not set"
            )
        from worker.schema_registry.client import RegistryUnavailableError

        try:
            described = await self._describer.describe(value, headers)
        except RegistryUnavailableError as error:
            raise RegistryAwayError(str(error)) from None
        if described is None:
            return value
        if described.document is None:
            raise UnreadableAnswerError(described.problem)
        return _complete(described.document)


_OUTCOMES: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def _complete(document: bytes) -> bytes:
    """The outcome with the fields that are null, which Avro and Protobuf leave out; the document
    itself if it is not an outcome.
    """
    try:
        return _OUTCOMES.validate_json(document).model_dump_json().encode()
    except ValidationError:
        return document


def schema_name(schema: SchemaRef) -> str:
    """The reference for people."""
    return f"GUID {schema}" if isinstance(schema, UUID) else f"id {schema}"
