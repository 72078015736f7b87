"""What a worker reads with, by its settings: `open_reader` against a registry that answers."""

import io
import json
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import fastavro
import pytest

from schemas.rejection import Reason, Rejected
from tests.schema_registry.keeping_registry import KeepingRegistry, keeping_registry
from tests.streaming.fakes import record
from worker.kafka.records import InputRecord
from worker.schema_registry.framing import frame_prefix
from worker.schema_registry.opening import open_reader
from worker.schema_registry.record_values import INLINE_BYTES
from worker.settings.environment import load

TICKETS = {
    "type": "record",
    "name": "Ticket",
    "fields": [
        {"name": "body", "type": "string"},
        {
            "name": "states",
            "type": {
                "type": "array",
                "items": {"type": "enum", "name": "State", "symbols": ["open" * 50]},
            },
        },
    ],
}


@pytest.fixture
async def registry() -> AsyncIterator[KeepingRegistry]:
    async with keeping_registry() as registry:
        yield registry


class CountingExecutor(ThreadPoolExecutor):
    tasks = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        return super().submit(fn, *args, **kwargs)


async def read(
    registry: KeepingRegistry,
    ticket: dict[str, Any],
    executor: ThreadPoolExecutor | None = None,
    **settings: str,
) -> InputRecord:
    """A ticket's record as the worker reads it."""
    schema_id = registry.register("t-value", {"schemaType": "AVRO", "schema": json.dumps(TICKETS)})
    value = io.BytesIO(frame_prefix(schema_id))
    value.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(value, TICKETS, ticket)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "SCHEMA_REGISTRY_URL": registry.url,
        **settings,
    }
    with executor or ThreadPoolExecutor(1) as decoders:
        async with open_reader(load(environment), decoders) as reader:
            return await reader.read(record(0, value=value.getvalue()), nullcontext())


async def test_the_limit_of_a_records_size_holds_for_its_json(registry: KeepingRegistry) -> None:
    ticket = {"body": "Ada wrote it.", "states": ["open" * 50] * 20}  # 38 bytes in Avro
    assert len((await read(registry, ticket, QA_MAX_RECORD_BYTES="5000")).value or b"") > 4000
    with pytest.raises(Rejected, match="more than 3000 bytes as JSON") as rejected:
        await read(registry, ticket, QA_MAX_RECORD_BYTES="3000")
    assert rejected.value.reason is Reason.RECORD_TOO_LARGE


async def test_the_fields_of_the_settings_are_mapped(registry: KeepingRegistry) -> None:
    ticket = {"body": "Ada wrote it.", "states": []}
    readable = await read(registry, ticket, QA_FIELDS="context=body")
    assert json.loads(readable.value or b"") == {**ticket, "context": "Ada wrote it."}


@pytest.mark.parametrize(("size", "tasks"), [(10, 0), (INLINE_BYTES, 1)])
async def test_large_values_are_decoded_off_the_event_loop(
    registry: KeepingRegistry, size: int, tasks: int
) -> None:
    decoders = CountingExecutor(1)
    readable = await read(registry, {"body": "a" * size, "states": []}, decoders)
    assert json.loads(readable.value or b"")["body"] == "a" * size
    assert decoders.tasks == tasks
