"""The format of a worker's answers, with the id of their schema."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from schemas.event import Outcome
from schemas.value_format import ValueFormat
from worker.observability import metrics
from worker.observability.health import Health
from worker.schema_registry.answer_schema import PublishedSchema, answer_schema
from worker.schema_registry.encoding import Encode, avro_encoder, protobuf_encoder
from worker.schema_registry.framing import frame_prefix
from worker.schema_registry.opening import registry_client
from worker.schema_registry.responses import RegistryUnavailableError
from worker.schema_registry.schema_store import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS
from worker.settings import Settings

log = structlog.get_logger(__name__)

FIRST_MESSAGE = (0,)
"""The message indexes of the outcome in its `.proto` file."""


async def find_answer_format(
    settings: Settings,
    outcome_type: type[Outcome],
    health: Health,
    read_settings: Callable[[], Settings] | None = None,
) -> ValueFormat:
    """The format that `settings` name, which is not `json`, with the id of the outcomes' schema.
    `read_settings` reads them again, for a login that was renewed. `health` says why the start
    waits: for the registry it does so without a deadline. The id never changes, so it is asked for
    once.

    Raises `StreamingError` if the registry does not have the schema, or does not take it.
    """
    schema = answer_schema(settings, outcome_type)
    # Compiled first: the registry cannot correct what is wrong with it.
    encode = encoder(schema)
    async with registry_client(settings, read_settings) as client:
        ask = schema.register if settings.qa.register_schemas else schema.require
        schema_id = await _ask(lambda: ask(client), schema.subject, health)
    log.info("answer_schema", subject=schema.subject, file=schema.file, id=schema_id)
    prefix = value_prefix(schema, schema_id)
    return ValueFormat(lambda outcome: prefix + encode(outcome), content_type=None)


async def _ask(request: Callable[[], Awaitable[int]], subject: str, health: Health) -> int:
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            schema_id = await request()
        except RegistryUnavailableError as error:
            if health.start_waits is None:
                log.warning("schema_registry_unavailable", subject=subject, reason=str(error))
                metrics.SCHEMA_REGISTRY_UNAVAILABLE.set(1)
            health.start_waits = str(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)
        else:
            if health.start_waits is not None:
                log.info("schema_registry_available")
                metrics.SCHEMA_REGISTRY_UNAVAILABLE.set(0)
                health.start_waits = None
            return schema_id


def value_prefix(schema: PublishedSchema, schema_id: int) -> bytes:
    """What stands before a value of this schema."""
    return frame_prefix(schema_id, FIRST_MESSAGE if schema.kind == "PROTOBUF" else None)


def encoder(schema: PublishedSchema) -> Encode:
    """The encoder of values without their prefix."""
    match schema.kind:
        case "AVRO":
            return avro_encoder(schema.text)
        case "PROTOBUF":
            return protobuf_encoder(schema.text)
    return lambda outcome: outcome.model_dump_json().encode()
