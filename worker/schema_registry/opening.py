"""Opens what a worker needs of the schema registry, by the settings."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager

from worker.schema_registry.client import RegistryClient
from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.record_values import Decode, RecordValueReader, compile_decoder
from worker.schema_registry.schema_store import SchemaStore
from worker.settings import Settings
from worker.settings.field_paths import parse_field_paths


def registry_client(settings: Settings) -> RegistryClient:
    """`settings` name a registry."""
    registry = settings.schema_registry
    return RegistryClient(registry.url, timeout_seconds=registry.request_timeout_ms / 1000)


@asynccontextmanager
async def open_reader(settings: Settings, decoders: Executor) -> AsyncIterator[RecordValueReader]:
    """`settings` name a registry."""
    async with registry_client(settings) as client:
        store: SchemaStore[Decode] = SchemaStore(client, compile_decoder)
        mapping = FieldMapping(parse_field_paths(settings.qa.fields))
        try:
            yield RecordValueReader(store, mapping, decoders)
        finally:
            await store.close()
