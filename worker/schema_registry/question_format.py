"""Writes a question of `qa-worker ask` in a format of the registry, with the id of its schema."""

from schemas.event import Event, Outcome
from worker.kafka.errors import StreamingError
from worker.schema_registry.answer_format import encoder, value_prefix
from worker.schema_registry.answer_schema import published_schema
from worker.schema_registry.opening import registry_client
from worker.schema_registry.responses import RegistryUnavailableError
from worker.settings import Settings
from worker.settings.value_formats import AnswerFormat


async def encode_question(
    settings: Settings, topic: str, event: Event[Outcome], value_format: AnswerFormat
) -> bytes:
    """The event's value for this topic; `value_format` is not `json`, and `settings` name a
    registry. The registry is asked once.

    Raises `StreamingError` if the registry does not answer, does not have the schema, or does not
    take it; `Rejected` if the format cannot hold the event.
    """
    schema = published_schema(topic, type(event), value_format)
    encode = encoder(schema)
    async with registry_client(settings) as client:
        try:
            ask = schema.register if settings.qa.register_schemas else schema.require
            schema_id = await ask(client)
        except RegistryUnavailableError as error:
            raise StreamingError(f"SCHEMA_REGISTRY_URL: {error}") from None
    return value_prefix(schema, schema_id) + encode(event)
