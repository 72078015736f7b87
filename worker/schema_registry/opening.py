"""Opens what a worker needs of the schema registry, by the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial

import structlog

from worker.kafka.errors import StreamingError
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.field_mapping import FieldMapping
from worker.schema_registry.login import login
from worker.schema_registry.record_values import DecodeFrame, RecordValueReader, compile_decoder
from worker.schema_registry.responses import (
    SETTINGS_TO_CORRECT,
    RegistryRefusesError,
    RegistryUnavailableError,
)
from worker.schema_registry.schema_store import SchemaStore
from worker.settings import Settings
from worker.settings.field_paths import parse_field_paths

log = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0
"""For which a registry that hangs delays the start of a worker."""


def registry_client(
    settings: Settings, read_settings: Callable[[], Settings] | None = None
) -> RegistryClient:
    """`settings` name a registry. `read_settings` reads them again, for secrets in files."""
    read = read_settings or (lambda: settings)
    return RegistryClient(
        settings.schema_registry.url,
        timeout_seconds=settings.schema_registry.request_timeout_ms / 1000,
        read_login=lambda: login(read().schema_registry),
    )


@asynccontextmanager
async def open_reader(
    settings: Settings,
    decoders: Executor,
    read_settings: Callable[[], Settings] | None = None,
) -> AsyncIterator[RecordValueReader]:
    """As `registry_client`. Raises `SettingsError`, and `StreamingError` if the registry refuses
    the worker.
    """
    max_bytes = settings.qa.max_record_bytes
    async with registry_client(settings, read_settings) as client:
        await _check(client)
        store: SchemaStore[DecodeFrame] = SchemaStore(
            client, partial(compile_decoder, max_bytes=max_bytes)
        )
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
        async with asyncio.timeout(CHECK_SECONDS):
            await client.check()
    except RegistryRefusesError as error:
        raise StreamingError(
            f"cannot use the schema registry: {error}; {SETTINGS_TO_CORRECT}"
        ) from None
    except RegistryUnavailableError as error:
        log.warning("schema_registry_not_reached", reason=str(error))
    except TimeoutError:
        reason = f"no answer within {CHECK_SECONDS:g} s"
        log.warning("schema_registry_not_reached", reason=reason)
