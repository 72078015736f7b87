"""What the registry's client asks, and what it makes of each answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from tests.schema_registry.registry_server import RegistryServer, registry_server
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.decoding import (
    MAX_REFERENCES,
    MAX_SCHEMA_BYTES,
    RegisteredSchema,
    UnusableSchemaError,
)
from worker.schema_registry.responses import (
    RegistryRefusesError,
    RegistryUnavailableError,
    UnknownSchemaError,
)

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")


@pytest.fixture
async def server() -> AsyncIterator[RegistryServer]:
    async with registry_server() as server:
        yield server


@pytest.fixture
async def client(server: RegistryServer) -> AsyncIterator[RegistryClient]:
    async with RegistryClient((server.url,), timeout_seconds=5) as client:
        yield client


def reference(name: str, subject: str, version: Any = 1) -> dict[str, Any]:
    return {"name": name, "subject": subject, "version": version}


async def test_a_schema_without_a_type_is_avro(
    server: RegistryServer, client: RegistryClient
) -> None:
    server.answers["GET /schemas/ids/7"] = 200, {"schema": '"string"'}
    assert await client.schema(7) == RegisteredSchema("AVRO", '"string"')


async def test_a_guid_has_its_own_path(server: RegistryServer, client: RegistryClient) -> None:
    server.answers[f"GET /schemas/guids/{GUID}"] = 200, {"schema": "{}", "schemaType": "JSON"}
    assert await client.schema(GUID) == RegisteredSchema("JSON", "{}")


async def test_referred_schemas_come_before_those_that_refer(
    server: RegistryServer, client: RegistryClient
) -> None:
    server.answers |= {
        "GET /schemas/ids/1": (
            200,
            {"schema": "a", "references": [reference("b", "sub/b"), reference("c", "c", 3)]},
        ),
        "GET /subjects/sub%2Fb/versions/1?deleted=true": (
            200,
            {"schema": "B", "references": [reference("c", "c", 3)]},
        ),
        "GET /subjects/c/versions/3?deleted=true": (200, {"schema": "C"}),
    }
    found = await client.schema(1)
    assert list(found.references.items()) == [("c", "C"), ("b", "B")]
    assert len(server.requests) == 3


async def test_a_schema_that_refers_to_itself_is_refused(
    server: RegistryServer, client: RegistryClient
) -> None:
    server.answers |= {
        "GET /schemas/ids/1": (200, {"schema": "a", "references": [reference("b", "b")]}),
        "GET /subjects/b/versions/1?deleted=true": (
            200,
            {"schema": "b", "references": [reference("b", "b")]},
        ),
    }
    with pytest.raises(UnusableSchemaError, match="b refers to itself"):
        await client.schema(1)


async def test_too_many_references_are_refused(
    server: RegistryServer, client: RegistryClient
) -> None:
    names = [f"r{n}" for n in range(MAX_REFERENCES + 1)]
    server.answers["GET /schemas/ids/1"] = (
        200,
        {"schema": "a", "references": [reference(name, name) for name in names]},
    )
    server.answers |= {
        f"GET /subjects/{name}/versions/1?deleted=true": (200, {"schema": "x"}) for name in names
    }
    with pytest.raises(UnusableSchemaError, match="more than 100 referred schemas"):
        await client.schema(1)


@pytest.mark.parametrize(
    ("size", "problem"),
    [(MAX_SCHEMA_BYTES + 1, "the limit is 1000000"), (5_000_000, "a response of more than")],
)
async def test_a_large_schema_is_refused(
    server: RegistryServer, client: RegistryClient, size: int, problem: str
) -> None:
    server.answers["GET /schemas/ids/1"] = 200, {"schema": "x" * size}
    with pytest.raises(UnusableSchemaError, match=problem):
        await client.schema(1)


async def test_a_schema_that_the_registry_has_not_is_unknown(client: RegistryClient) -> None:
    with pytest.raises(UnknownSchemaError, match="Schema not found"):
        await client.schema(99)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (500, {"error_code": 50001, "message": "Error in the backend\nstore"}, "answers 500 Error"),
        (500, {"message": "not \ud800 text"}, r"answers 500 not \? text"),
        (401, {"error_code": 401, "message": "Unauthorized"}, "answers 401 Unauthorized"),
        (404, "<html>no such page</html>", "answers 404"),
        # Confluent's registry under a wrong path: https://github.com/edenhill/kcat/issues/212
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}, "answers 404 HTTP 404"),
        (302, "", "answers 302"),
        (200, "[]", "something other than a JSON object"),
        (200, "{", "something other than a JSON object"),
        (200, {"schema": 5}, "without a schema"),
        (200, {"schema": "x", "schemaType": ["AVRO"]}, "type of schema that is not a text"),
        (200, {"schema": "x", "references": "none"}, "references of another form"),
        (200, {"schema": "x", "references": [{"name": "a"}]}, "references of another form"),
        (200, {"schema": "x", "references": [reference("a", "a", None)]}, "references of another"),
        (404, '{"error_code": 1e999}', "answers 404"),
        (502, "x" * 5_000_000, "answers 502"),
    ],
)
async def test_other_answers_do_not_settle_the_question(
    server: RegistryServer, client: RegistryClient, status: int, body: Any, problem: str
) -> None:
    server.answers["GET /schemas/ids/1"] = status, body
    with pytest.raises(RegistryUnavailableError, match=problem):
        await client.schema(1)


@pytest.mark.parametrize(
    ("status", "body"), [(404, {"error_code": 404, "message": "HTTP 404 Not Found"}), (404, "")]
)
async def test_a_guid_is_unknown_to_a_registry_without_guids(
    server: RegistryServer, client: RegistryClient, status: int, body: Any
) -> None:
    server.answers[f"GET /schemas/guids/{GUID}"] = status, body
    with pytest.raises(UnknownSchemaError, match="the registry has no schemas by GUID"):
        await client.schema(GUID)
    # With the wrong URL no path is there.
    server.answers[server.requests[-1]] = status, body
    with pytest.raises(RegistryRefusesError, match="answers 404"):
        await client.schema(GUID)


@pytest.mark.parametrize("status", [302, 401, 403, 404])
async def test_a_refusal_is_told_from_silence(
    server: RegistryServer, client: RegistryClient, status: int
) -> None:
    await client.check()  # it does not have the schema
    (asked,) = server.requests
    server.answers[asked] = status, "<html>"
    with pytest.raises(RegistryRefusesError, match=f"{server.url} answers {status}"):
        await client.check()
    server.answers[asked] = 500, ""
    with pytest.raises(RegistryUnavailableError) as raised:
        await client.check()
    assert not isinstance(raised.value, RegistryRefusesError)


async def test_tls_on_a_plain_port_is_a_refusal(server: RegistryServer) -> None:
    urls = "http://127.0.0.1:1", server.url.replace("http:", "https:")
    async with RegistryClient(urls, timeout_seconds=5) as client:
        with pytest.raises(RegistryRefusesError, match=r"cannot be reached by TLS: .*SSL"):
            await client.check()


async def test_the_next_registry_is_asked(server: RegistryServer) -> None:
    server.answers["GET /schemas/ids/1"] = 200, {"schema": '"int"'}
    urls = ("http://127.0.0.1:1", server.url)
    async with RegistryClient(urls, timeout_seconds=5) as client:
        assert await client.schema(1) == RegisteredSchema("AVRO", '"int"')


async def test_a_registry_that_hangs_is_given_up(server: RegistryServer) -> None:
    server.held = asyncio.Event()
    async with RegistryClient((server.url,), timeout_seconds=0.1) as client:
        with pytest.raises(RegistryUnavailableError, match=r"does not answer within 0\.1 s"):
            await client.schema(1)
    server.held.set()


async def test_subjects_are_looked_up_and_registered(
    server: RegistryServer, client: RegistryClient
) -> None:
    server.answers |= {
        "GET /subjects/qa.answers-value/versions/latest": (
            200,
            {"id": 3, "schema": "x", "schemaType": "JSON"},
        ),
        "POST /subjects/qa.answers-value": (200, {"id": 4}),
        "POST /subjects/qa.answers-value/versions": (200, {"id": 5}),
        "POST /subjects/old-value/versions": (
            409,
            {"error_code": 409, "message": "not compatible"},
        ),
    }
    assert await client.latest_kind("qa.answers-value") == "JSON"
    assert await client.find("qa.answers-value", "AVRO", "x") == 4
    assert await client.register("qa.answers-value", "AVRO", "x") == 5
    assert server.bodies[-1] == '{"schemaType": "AVRO", "schema": "x"}'
    with pytest.raises(UnusableSchemaError, match="not compatible"):
        await client.register("old-value", "AVRO", "x")
