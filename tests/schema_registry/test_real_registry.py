"""The registry's client against Apicurio Registry."""

import json
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from worker.schema_registry.client import RegistryClient
from worker.schema_registry.decoding import RegisteredSchema, UnusableSchemaError
from worker.schema_registry.responses import RegistryRefusesError, UnknownSchemaError

TIMEOUT_SECONDS = 30

STRING, INT = '"string"', '"int"'
PROTO = 'syntax = "proto3";\nmessage Ask { string question = 1; }\n'
JSON = '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}'


@pytest.fixture
async def client(registry_url: str) -> AsyncIterator[RegistryClient]:
    async with RegistryClient((registry_url,), timeout_seconds=TIMEOUT_SECONDS) as client:
        yield client


@pytest.fixture
def subject() -> str:
    """With a slash, as the names of files in Protobuf's imports have."""
    return f"acme/{uuid.uuid4().hex}"


@pytest.mark.parametrize(
    ("kind", "text"),
    [("AVRO", STRING), ("PROTOBUF", PROTO), ("JSON", JSON)],
    ids=["avro", "protobuf", "json"],
)
async def test_a_registered_schema_is_found(
    client: RegistryClient, subject: str, kind: str, text: str
) -> None:
    schema_id = await client.register(subject, kind, text)

    assert await client.register(subject, kind, text) == schema_id
    assert await client.find(subject, kind, text) == schema_id
    assert await client.latest_kind(subject) == kind
    assert await client.schema(schema_id) == RegisteredSchema(kind, text)


async def test_references_are_fetched_over_two_levels(
    client: RegistryClient, registry_url: str, subject: str
) -> None:
    texts = {
        "a": '{"type":"enum","name":"a","symbols":["X"]}',
        "b": '{"type":"record","name":"b","fields":[{"name":"f","type":"a"}]}',
        "c": '{"type":"record","name":"c","fields":[{"name":"f","type":"b"}]}',
    }
    refers = {"a": [], "b": ["a"], "c": ["b"]}
    async with aiohttp.ClientSession(registry_url + "/subjects/") as http:
        for name, text in texts.items():
            references = [
                {"name": each, "subject": f"{each}-{subject[5:]}", "version": 1}
                for each in refers[name]
            ]
            async with http.post(
                f"{name}-{subject[5:]}/versions", json={"schema": text, "references": references}
            ) as response:
                schema_id = json.loads(await response.text())["id"]

    found = await client.schema(schema_id)

    assert found.text == texts["c"]
    assert list(found.references.items()) == [("a", texts["a"]), ("b", texts["b"])]


async def test_what_the_registry_does_not_have_is_unknown(
    client: RegistryClient, subject: str
) -> None:
    for unknown in (
        client.schema(2**32 - 1),
        client.latest_kind(subject),
        client.find(subject, "AVRO", STRING),
    ):
        with pytest.raises(UnknownSchemaError):
            await unknown
    await client.register(subject, "AVRO", STRING)
    with pytest.raises(UnknownSchemaError):
        await client.find(subject, "AVRO", INT)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("AVRO", STRING, INT),
        ("PROTOBUF", PROTO, PROTO.replace("string", "int32")),
        ("JSON", JSON, JSON.replace("object", "string")),
    ],
    ids=["avro", "protobuf", "json"],
)
async def test_an_incompatible_schema_is_not_registered(
    client: RegistryClient, subject: str, kind: str, old: str, new: str
) -> None:
    await client.register(subject, kind, old)
    with pytest.raises(UnusableSchemaError, match=r"[Ii]ncompatible"):
        await client.register(subject, kind, new)
    with pytest.raises(UnknownSchemaError):
        await client.find(subject, kind, new)


async def test_a_text_that_is_not_a_schema_is_not_registered(
    client: RegistryClient, subject: str
) -> None:
    with pytest.raises(UnusableSchemaError):
        await client.register(subject, "AVRO", '{"type":"record"}')


async def test_a_guid_is_unknown_to_a_registry_without_guids(client: RegistryClient) -> None:
    """A value that only happens to look framed must not wait."""
    with pytest.raises(UnknownSchemaError):
        await client.schema(uuid.uuid4())


async def test_a_wrong_path_is_told_from_an_unknown_schema(
    client: RegistryClient, registry_url: str
) -> None:
    await client.check()
    for wrong in (registry_url.removesuffix("/apis/ccompat/v7"), f"{registry_url}/schemas"):
        async with RegistryClient((wrong,), timeout_seconds=TIMEOUT_SECONDS) as elsewhere:
            with pytest.raises(RegistryRefusesError, match="answers 404"):
                await elsewhere.check()
