"""The published schemas of outcomes and events, and their ids in the registry.

Subjects are those of TopicNameStrategy, the default of Confluent's serializers.
"""

from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

from pydantic import BaseModel

from schemas.event import Event, Outcome
from worker.kafka.errors import StreamingError
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.decoding import UnusableSchemaError
from worker.schema_registry.responses import (
    SETTINGS_TO_CORRECT,
    RegistryRefusesError,
    RegistryUnavailableError,
    UnknownSchemaError,
)
from worker.settings import Settings
from worker.settings.value_formats import AnswerFormat

_FILES = {
    AnswerFormat.AVRO: ("AVRO", ".avsc"),
    AnswerFormat.JSON_SCHEMA: ("JSON", ".registry.json"),
    AnswerFormat.PROTOBUF: ("PROTOBUF", ".proto"),
}
"""Format to the registry's name of it, and the end of the published file's name."""


@dataclass(frozen=True, slots=True)
class PublishedSchema:
    """A published schema, and the subject that it has in the registry."""

    subject: str
    file: str
    """Its name in `schemas/published`."""
    kind: str
    """AVRO, JSON or PROTOBUF."""
    text: str
    command: str
    """The command that registers it."""

    async def find(self, client: RegistryClient) -> int | None:
        """Its id; None if the subject does not have it.

        Raises `StreamingError` if the registry refuses the request, or the subject has schemas of
        another type; `RegistryUnavailableError`.
        """
        found = await self._look_up(client)
        if found is None:
            await self._check_kind(client)
        return found

    async def register(self, client: RegistryClient) -> int:
        """Its id, registered if it was not.

        Raises `StreamingError` if the registry refuses it, and `RegistryUnavailableError`.
        """
        found = await self._look_up(client)
        if found is not None:
            return found
        try:
            return await client.register(self.subject, self.kind, self.text)
        except (RegistryRefusesError, UnknownSchemaError, UnusableSchemaError) as error:
            raise self._refused(error) from None
        except RegistryUnavailableError:
            await self._check_kind(client)
            raise

    async def require(self, client: RegistryClient) -> int:
        """Its id.

        Raises `StreamingError` if the registry does not have it, and `RegistryUnavailableError`.
        """
        found = await self.find(client)
        if found is not None:
            return found
        raise StreamingError(
            f"the schema registry does not have schemas/published/{self.file} under the "
            f"subject {self.subject}: register it (`{self.command}`), or set "
            f"QA_REGISTER_SCHEMAS=true"
        )

    async def _look_up(self, client: RegistryClient) -> int | None:
        """As `find`, without a look at the type of a subject's other schemas."""
        try:
            with suppress(UnknownSchemaError):
                return await client.find(self.subject, self.kind, self.text)
            # It may have been registered with normalize=true.
            with suppress(UnknownSchemaError):
                return await client.find(self.subject, self.kind, self.text, normalize=True)
        except RegistryRefusesError as error:
            raise self._refused(error) from None
        except UnusableSchemaError as error:
            # Apicurio cannot parse one type's text as another's.
            await self._check_kind(client)
            raise self._refused(error) from None
        return None

    async def _check_kind(self, client: RegistryClient) -> None:
        """A subject has schemas of one type. Apicurio answers 500 to another; that does not pass.

        Raises `StreamingError`.
        """
        try:
            kind = await client.latest_kind(self.subject)
        except (RegistryUnavailableError, UnknownSchemaError):
            return
        if kind != self.kind:
            raise self._refused(
                f"it has schemas of the type {kind}, not {self.kind}; use another topic, or delete "
                f"the subject"
            )

    def _refused(self, error: Exception | str) -> StreamingError:
        if isinstance(error, RegistryRefusesError):
            return StreamingError(
                f"cannot use the schema registry for the subject {self.subject}: {error}; "
                f"{SETTINGS_TO_CORRECT}"
            )
        return StreamingError(
            f"the schema registry refuses {self.file} under the subject {self.subject}: {error}"
        )


def answer_schema(settings: Settings, outcome_type: type[Outcome]) -> PublishedSchema:
    """The schema of the outcomes in `QA_ANSWER_FORMAT`, which is not `json`."""
    return published_schema(settings.qa.answers_topic, outcome_type, settings.qa.answer_format)


def published_schema(
    topic: str, model: type[BaseModel], value_format: AnswerFormat
) -> PublishedSchema:
    """The schema of an event or an outcome, for values of the topic; not of `json`."""
    kind, end = _FILES[value_format]
    file = f"{model.__name__.lower()}{end}"
    text = (files("schemas") / "published" / file).read_text("utf-8")
    command = "qa-worker schemas register"
    if issubclass(model, Event):
        command += f" --questions {value_format}"
    return PublishedSchema(f"{topic}-value", file, kind, text, command)
