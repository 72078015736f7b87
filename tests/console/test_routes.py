"""The console's routes over a real socket. Most tests have no broker."""

import asyncio
import itertools
import json
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from tests.brokers.protocol import Broker
from tests.console.browser import TOKEN
from tests.console.serving import served
from tests.streaming.topics import until
from worker.console import questions, sampling, server
from worker.console.server import Console
from worker.observability.health import Health
from worker.observability.http_server import OpsServer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
PAGES = (
    "/console/",
    *(f"/console/{file.name}" for file in sorted(server.PAGE.iterdir()) if file.suffix != ".html"),
)
ROUTES = ("/console", *PAGES, "/console/samples", "/console/questions")
OPS_ROUTES = ("/metrics", "/healthz", "/readyz")


@dataclass
class Response:
    """A received HTTP response."""

    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Port:
    """The HTTP port of a worker with the console."""

    number: int
    console: Console
    client: aiohttp.ClientSession = field(default_factory=aiohttp.ClientSession)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        with_token: bool = True,
        **headers: str | None,
    ) -> Response:
        """Sends a request with the headers of the console's page.

        `headers` override them; `None` removes a header.
        """
        host = f"127.0.0.1:{self.number}"
        of_page = {"Origin": f"http://{host}", "Content-Type": "application/json"}
        if with_token:
            of_page["Authorization"] = f"Bearer {TOKEN}"
        overrides = {name.replace("_", "-"): value for name, value in headers.items()}
        merged = {**of_page, **overrides}
        sent = {name: value for name, value in merged.items() if value is not None}
        async with self.client.request(
            method, f"http://{host}{path}", data=body, headers=sent, allow_redirects=False
        ) as received:
            return Response(received.status, dict(received.headers), await received.text())


@pytest.fixture
def closed_broker() -> Iterator[str]:
    """An address at which no broker answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
async def port(closed_broker: str) -> AsyncIterator[Port]:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": closed_broker, "QA_MAX_RECORD_BYTES": "1000"}
    async with served(environment) as (console, number):
        port = Port(number, console)
        yield port
        await port.client.close()


async def status(number: int, method: str, path: str) -> int:
    """Sends a raw request, since HTTP clients do not send every method. Returns the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{number}\r\nConnection: close\r\n"
        f"Authorization: Bearer {TOKEN}\r\nOrigin: http://127.0.0.1:{number}\r\n"
        f"Content-Length: 0\r\n\r\n".encode()
    )
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def test_no_console_routes_and_no_writes_when_it_is_off() -> None:
    ops_server = OpsServer(Health(time.monotonic, 60, 60), "127.0.0.1", 0)
    await ops_server.start()
    statuses = {
        (method, path): await status(ops_server.port, method, path)
        for method, path in itertools.product(METHODS, (*ROUTES, *OPS_ROUTES, "/"))
    }
    await ops_server.stop()
    accepted = {key: code for key, code in statuses.items() if code < 400}
    assert set(accepted) <= {(method, path) for method in ("GET", "HEAD") for path in OPS_ROUTES}
    assert {statuses[method, path] for method in ("GET", "POST") for path in ROUTES} == {404}
    assert {statuses[method, path] for method in METHODS[2:] for path in OPS_ROUTES} <= {
        400,
        404,
        405,
        501,
    }


async def test_only_questions_accepts_more_than_get(port: Port) -> None:
    statuses = {
        (method, path): await status(port.number, method, path)
        for method, path in itertools.product(METHODS[2:], (*ROUTES, *OPS_ROUTES, "/"))
    }
    # The route accepts POST, but not without a content type.
    assert statuses.pop(("POST", "/console/questions")) == 415
    assert set(statuses.values()) <= {400, 404, 405, 501}


@pytest.mark.parametrize("path", PAGES)
async def test_page_files_need_no_token(port: Port, path: str) -> None:
    response = await port.call("GET", path, with_token=False, Origin=None)
    assert (response.status, bool(response.text)) == (200, True)
    kinds = {".js": "text/javascript", "css": "text/css", "le/": "text/html"}
    assert response.headers["Content-Type"] == f"{kinds[path[-3:]]}; charset=utf-8"


async def test_console_redirects_to_its_page(port: Port) -> None:
    response = await port.call("GET", "/console")
    assert (response.status, response.headers["Location"]) == (308, "/console/")


@pytest.mark.parametrize("path", ["/console", *PAGES, "/console/samples", "/console/nothing"])
async def test_every_response_has_security_headers(port: Port, path: str) -> None:
    headers = (await port.call("GET", path)).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


async def test_denied_request_has_reason_and_security_headers(port: Port) -> None:
    response = await port.call("GET", "/console/samples", with_token=False)
    assert response.status == 401
    assert "QA_CONSOLE_TOKEN" in response.text
    assert TOKEN not in response.text
    assert "Content-Security-Policy" in response.headers


async def test_unknown_host_is_denied_on_every_route(port: Port) -> None:
    for path in ROUTES[:-1]:
        assert (await port.call("GET", path, Host="evil.example")).status == 403


async def test_cross_origin_question_and_preflight_are_denied(port: Port) -> None:
    foreign = "http://evil.example"
    assert (await port.call("POST", "/console/questions", Origin=foreign)).status == 403
    assert (await port.call("POST", "/console/questions", Origin=None)).status == 403
    preflight = await port.call(
        "OPTIONS",
        "/console/questions",
        with_token=False,
        Origin=foreign,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type",
    )
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("Access-Control")]


async def test_question_must_be_json(port: Port) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = await port.call("POST", "/console/questions", body=b"{}", Content_Type=kind)
        assert response.status == 415


async def test_question_above_max_record_bytes_is_413(port: Port) -> None:
    response = await port.call("POST", "/console/questions", body=b" " * 1001)
    assert (response.status, "QA_MAX_RECORD_BYTES" in response.text) == (413, True)


async def test_unreachable_broker_is_502(port: Port) -> None:
    response = await port.call("POST", "/console/questions", body=b"{}")
    assert (response.status, "Kafka: " in response.text) == (502, True)


async def test_missing_topic_is_502_and_named(broker: Broker) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "QA_QUESTIONS_TOPIC": f"never-made-{uuid.uuid4()}",
    }
    async with served(environment) as (console, number):
        port = Port(number, console)
        try:
            response = await port.call("POST", "/console/questions", body=b"{}")
        finally:
            await port.client.close()
    assert (response.status, environment["QA_QUESTIONS_TOPIC"] in response.text) == (502, True)


async def test_busy_is_429(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "MAX_PENDING", 0)
    response = await port.call("POST", "/console/questions", body=b"{}")
    assert (response.status, "pending" in response.text) == (429, True)


async def test_samples_after_a_time_are_only_newer_ones(
    closed_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "PERIOD_SECONDS", 0.01)
    async with served({"KAFKA_BOOTSTRAP_SERVERS": closed_broker}) as (console, number):
        port = Port(number, console)
        seen: list[int] = []

        async def has_samples() -> bool:
            seen[:] = await samples(port, 0)
            return bool(seen)

        await until(has_samples, "there are samples")
        assert all(at > seen[-1] for at in await samples(port, seen[-1]))
        assert (await port.call("GET", "/console/samples?after=x")).status == 400
        await port.client.close()


async def samples(port: Port, after: int) -> list[int]:
    """Returns the times of the samples after `after`."""
    response = await port.call("GET", f"/console/samples?after={after}")
    return [sample["at"] for sample in json.loads(response.text)["samples"]]
