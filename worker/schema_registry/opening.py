"""Opens what a worker needs of the schema registry, by the settings."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager

import structlog

from worker.kafka.errors import StreamingError
from worker.schema_registry.client import (
    RegistryClient,
    RegistryRefusesError,
    RegistryUnavailableError,
)
from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.record_values import Decode, RecordValueReader, compile_decoder
from worker.schema_registry.schema_store import SchemaStore
from worker.settings import Settings
from worker.settings.field_paths import parse_field_paths

log = structlog.get_logger(__name__)


def registry_client(settings: Settings) -> RegistryClient:
    """`settings` name a registry."""
    registry = settings.schema_registry
    return RegistryClient(registry.url, timeout_seconds=registry.request_timeout_ms / 1000)


@asynccontextmanager
async def open_reader(settings: Settings, decoders: Executor) -> AsyncIterator[RecordValueReader]:
    """`settings` name a registry. Raises `StreamingError` if it refuses the worker."""
    async with registry_client(settings) as client:
        await _check(client)
        store: SchemaStore[Decode] = SchemaStore(client, compile_decoder)
        mapping = FieldMapping(parse_field_paths(settings.qa.fields))
        try:
            yield RecordValueReader(store, mapping, decoders)
        finally:
            await store.close()


async def _check(client: RegistryClient) -> None:
    """At the start an operator is watching: report wrong settings at once. A registry that does not
    answer may come back, and plain JSON does not need it.
    """
    try:
        await client.check()
    except RegistryRefusesError as error:
        raise StreamingError(
            f"cannot use the schema registry: {error}; correct SCHEMA_REGISTRY_URL, the login "
            f"(SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO, SCHEMA_REGISTRY_BEARER_AUTH_TOKEN) or the "
            f"certificates (SCHEMA_REGISTRY_SSL_...)"
        ) from None
    except RegistryUnavailableError as error:
        log.warning("schema_registry_not_reached", reason=str(error))
