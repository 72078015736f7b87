"""The answers' schema in the registry: looked up, registered, missing, refused, waited for."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from schemas import Answer, Embedding, Outcome
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from tests.schema_registry.keeping_registry import FIRST_ID, KeepingRegistry, keeping_registry
from tests.streaming.topics import until
from worker.kafka.errors import StreamingError
from worker.observability.health import Health
from worker.schema_registry.answer_format import find_answer_format
from worker.settings import Settings
from worker.settings.environment import load

FORMATS = {
    "avro": ("AVRO", "avsc"),
    "json_schema": ("JSON", "registry.json"),
    "protobuf": ("PROTOBUF", "proto"),
}

each_format = pytest.mark.parametrize("answer_format", FORMATS)
LOOK_UP, REGISTER = "POST /subjects/qa.answers-value", "POST /subjects/qa.answers-value/versions"


@pytest.fixture
async def registry() -> AsyncIterator[KeepingRegistry]:
    async with keeping_registry() as registry:
        yield registry


def health() -> Health:
    return Health(time.monotonic, stall_after=3600, contact_after=20)


def settings(registry: KeepingRegistry, answer_format: str, **environment: str) -> Settings:
    return load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
            "SCHEMA_REGISTRY_URL": registry.url,
            "QA_ANSWER_FORMAT": answer_format,
            **environment,
        }
    )


def published(answer_format: str, name: str = "answer") -> dict[str, str]:
    kind, end = FORMATS[answer_format]
    return {"schemaType": kind, "schema": (PUBLISHED / f"{name}.{end}").read_text()}


@each_format
@pytest.mark.parametrize("outcome", [samples.ANSWER, samples.EMBEDDING])
async def test_values_begin_with_the_id_that_the_subject_has(
    registry: KeepingRegistry, answer_format: str, outcome: Outcome
) -> None:
    registry.register("other-value", {"schemaType": "AVRO", "schema": '"string"'})
    name = type(outcome).__name__.lower()
    registry.register("qa.answers-value", published(answer_format, name))
    found = await find_answer_format(settings(registry, answer_format), type(outcome), health())
    value = found.encode(outcome)
    # The list of message indexes [0] is one byte.
    indexes = b"\0" if answer_format == "protobuf" else b""
    prefix = b"\0" + (FIRST_ID + 1).to_bytes(4, "big") + indexes
    assert value.startswith(prefix)
    assert found.content_type is None
    if answer_format == "json_schema":
        assert value == prefix + outcome.model_dump_json().encode()
    assert registry.requests == [LOOK_UP]


@each_format
async def test_a_missing_schema_is_registered_if_the_settings_say_so(
    registry: KeepingRegistry, answer_format: str
) -> None:
    given = settings(registry, answer_format, QA_REGISTER_SCHEMAS="true")
    await find_answer_format(given, Answer, health())
    assert registry.schemas == [published(answer_format)]
    assert registry.requests == [LOOK_UP, LOOK_UP, REGISTER]
    await find_answer_format(given, Answer, health())
    assert registry.requests[3:] == [LOOK_UP]


@each_format
async def test_a_missing_schema_ends_the_start_with_what_to_register(
    registry: KeepingRegistry, answer_format: str
) -> None:
    with pytest.raises(StreamingError) as error:
        await find_answer_format(settings(registry, answer_format), Embedding, health())
    assert str(error.value) == (
        f"the schema registry does not have schemas/published/embedding."
        f"{FORMATS[answer_format][1]} under the subject qa.answers-value: register it "
        f"(`qa-worker schemas register`), or set QA_REGISTER_SCHEMAS=true"
    )
    assert registry.schemas == []


async def test_an_incompatible_schema_ends_the_start_with_the_registrys_message(
    registry: KeepingRegistry,
) -> None:
    registry.refusal = "Schema being registered is incompatible with an earlier schema"
    with pytest.raises(StreamingError) as error:
        await find_answer_format(
            settings(registry, "avro", QA_REGISTER_SCHEMAS="true"), Answer, health()
        )
    assert str(error.value) == (
        "the schema registry refuses answer.avsc under the subject qa.answers-value: "
        "Schema being registered is incompatible with an earlier schema"
    )


async def test_waits_for_a_registry_that_is_away(registry: KeepingRegistry) -> None:
    registry.register("qa.answers-value", published("avro"))
    registry.is_away = True
    state = health()
    with capture_logs() as logs:
        finding = asyncio.create_task(find_answer_format(settings(registry, "avro"), Answer, state))
        await until(lambda: len(registry.requests) >= 3, "three requests")
        assert not finding.done()
        assert state.start_waits == f"{registry.url} answers 503"
        registry.is_away = False
        found = await finding
    assert state.start_waits is None
    assert [each["event"] for each in logs] == [
        "schema_registry_unavailable",
        "schema_registry_available",
        "answer_schema",
    ]
    assert found.encode(samples.ANSWER)[1:5] == FIRST_ID.to_bytes(4, "big")
