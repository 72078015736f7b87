"""Values of answers as JSON, in whatever format the worker wrote them.

For what reads an answers topic: the client of the commands and the console, and comparisons.
Without SCHEMA_REGISTRY_URL it loads none of the packages that the formats need.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from uuid import UUID

import pydantic_core

from schemas.rejection import Header
from worker.schema_registry.framing import FramingError, SchemaRef, read_frame
from worker.schema_registry.outcome_defaults import complete_outcome
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.schema_registry.describing import ValueDescriber


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
        if not settings.schema_registry.url:
            yield cls(None)
            return
        # The extra `registry` is needed only here.
        from worker.schema_registry.describing import ValueDescriber

        async with ValueDescriber.open(settings) as describer:
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
        if described.problem:
            raise UnreadableAnswerError(described.problem)
        return pydantic_core.to_json(complete_outcome(described.document))


def schema_name(schema: SchemaRef) -> str:
    """The reference for people."""
    return f"GUID {schema}" if isinstance(schema, UUID) else f"id {schema}"
