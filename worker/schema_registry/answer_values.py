"""Values of answers as JSON, in whatever format the worker wrote them.

For what reads an answers topic: the client of the commands and the console, and comparisons.
Without SCHEMA_REGISTRY_URL it loads none of the packages that the formats need.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from uuid import UUID

import pydantic_core

from schemas.rejection import Header
from worker.schema_registry.framing import FramingError, SchemaRef, read_frame
from worker.schema_registry.outcome_defaults import complete_outcome
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.schema_registry.describing import ValueDescriber


@dataclass(frozen=True, slots=True)
class AnswerValue:
    """A value as JSON, or why there is none."""

    json: bytes | None
    problem: str = ""
    is_registry_away: bool = False
    """The problem may pass."""


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

    async def read(self, value: bytes | None, headers: Sequence[Header]) -> AnswerValue:
        """The value itself if it names no schema. Waits for the registry as long as its request
        timeout.
        """
        if value is None:
            return AnswerValue(None)
        if self._describer is None:
            return _without_registry(value, headers)
        from worker.schema_registry.responses import RegistryUnavailableError

        try:
            described = await self._describer.describe(value, headers)
        except RegistryUnavailableError as error:
            return AnswerValue(None, str(error), is_registry_away=True)
        if described is None:
            return AnswerValue(value)
        if described.problem:
            return AnswerValue(None, described.problem)
        return AnswerValue(pydantic_core.to_json(complete_outcome(described.document)))


def _without_registry(value: bytes, headers: Sequence[Header]) -> AnswerValue:
    try:
        frame = read_frame(value, headers)
    except FramingError as error:
        return AnswerValue(None, str(error))
    if frame is None:
        return AnswerValue(value)
    name = schema_name(frame.schema)
    return AnswerValue(None, f"it names the schema with {name}, and SCHEMA_REGISTRY_URL is not set")


def schema_name(schema: SchemaRef) -> str:
    """The reference for people."""
    return f"GUID {schema}" if isinstance(schema, UUID) else f"id {schema}"
