"""The console's routes on the observing port, over a real socket; here no broker answers."""

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
from worker.console import questions, server
from worker.console.server import Console
from worker.observability.health import Health
from worker.observability.http_server import OpsServer

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
PAGES = (
    "/console/",
    *(f"/console/{file.name}" for file in sorted(server.PAGE.iterdir()) if file.suffix != ".html"),
)
ROUTES = ("/console", *PAGES, "/console/samples", "/console/questions")
ALWAYS = ("/metrics", "/healthz", "/readyz")


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Port:
    """The observing port of a worker whose console is on."""

    number: int
    console: Console
    client: aiohttp.ClientSession = field(default_factory=aiohttp.ClientSession)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        known: bool = True,
        **headers: str | None,
    ) -> Answered:
        """As the console's own page would, but for what is given; `None` leaves a header out."""
        here = f"127.0.0.1:{self.number}"
        usual = {"Origin": f"http://{here}", "Content-Type": "application/json"}
        if known:
            usual["Authorization"] = f"Bearer {TOKEN}"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **given}.items() if value is not None}
        async with self.client.request(
            method, f"http://{here}{path}", data=body, headers=sent, allow_redirects=False
        ) as response:
            return Answered(response.status, dict(response.headers), await response.text())


@pytest.fixture
def nobody() -> Iterator[str]:
    """Where no broker answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
async def port(nobody: str) -> AsyncIterator[Port]:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": nobody, "QA_MAX_RECORD_BYTES": "1000"}
    async with served(environment) as (console, number):
        port = Port(number, console)
        yield port
        await port.client.close()


async def statuses(number: int, method: str, path: str) -> int:
    """Of a request as nobody's client sends it, so that every method gets there."""
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


async def test_where_the_console_is_off_there_is_nothing_of_it_and_nothing_changes_anything() -> (
    None
):
    observatory = OpsServer(Health(time.monotonic, 60, 60), "127.0.0.1", 0)
    await observatory.start()
    found = {
        (method, path): await statuses(observatory.port, method, path)
        for method, path in itertools.product(METHODS, (*ROUTES, *ALWAYS, "/"))
    }
    await observatory.stop()
    served_anyhow = {key: status for key, status in found.items() if status < 400}
    assert set(served_anyhow) <= {(method, path) for method in ("GET", "HEAD") for path in ALWAYS}
    assert {found[method, path] for method in ("GET", "POST") for path in ROUTES} == {404}
    assert {found[method, path] for method in METHODS[2:] for path in ALWAYS} <= {
        400,
        404,
        405,
        501,
    }


async def test_where_it_is_on_one_route_takes_more_than_get(port: Port) -> None:
    found = {
        (method, path): await statuses(port.number, method, path)
        for method, path in itertools.product(METHODS[2:], (*ROUTES, *ALWAYS, "/"))
    }
    # Without a content type: the question is looked at, and refused.
    assert found.pop(("POST", "/console/questions")) == 415
    assert set(found.values()) <= {400, 404, 405, 501}


@pytest.mark.parametrize("path", PAGES)
async def test_the_page_and_its_files_take_no_token(port: Port, path: str) -> None:
    answered = await port.call("GET", path, known=False, Origin=None)
    assert (answered.status, bool(answered.text)) == (200, True)
    kinds = {".js": "text/javascript", "css": "text/css", "le/": "text/html"}
    assert answered.headers["Content-Type"] == f"{kinds[path[-3:]]}; charset=utf-8"


async def test_without_the_slash_it_is_found_too(port: Port) -> None:
    answered = await port.call("GET", "/console")
    assert (answered.status, answered.headers["Location"]) == (308, "/console/")


@pytest.mark.parametrize("path", ["/console", *PAGES, "/console/samples", "/console/nothing"])
async def test_every_answer_has_the_headers_that_guard_it(port: Port, path: str) -> None:
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


async def test_a_refusal_says_why_and_has_the_headers_too(port: Port) -> None:
    answered = await port.call("GET", "/console/samples", known=False)
    assert answered.status == 401
    assert "QA_CONSOLE_TOKEN" in answered.text
    assert TOKEN not in answered.text
    assert "Content-Security-Policy" in answered.headers


async def test_a_name_of_somebody_elses_is_refused(port: Port) -> None:
    for path in ROUTES[:-1]:
        assert (await port.call("GET", path, Host="evil.example")).status == 403


async def test_a_strangers_page_cannot_ask_nor_find_out_whether_it_could(port: Port) -> None:
    stranger = "http://evil.example"
    assert (await port.call("POST", "/console/questions", Origin=stranger)).status == 403
    assert (await port.call("POST", "/console/questions", Origin=None)).status == 403
    before = await port.call(
        "OPTIONS",
        "/console/questions",
        known=False,
        Origin=stranger,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type",
    )
    assert before.status == 405
    assert not [name for name in before.headers if name.startswith("Access-Control")]


async def test_what_a_form_of_html_can_send_is_no_question(port: Port) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answered = await port.call("POST", "/console/questions", body=b"{}", Content_Type=kind)
        assert answered.status == 415


async def test_a_question_that_the_worker_would_not_take_is_not_read(port: Port) -> None:
    answered = await port.call("POST", "/console/questions", body=b" " * 1001)
    assert (answered.status, "QA_MAX_RECORD_BYTES" in answered.text) == (413, True)


async def test_where_no_broker_answers_it_says_so(port: Port) -> None:
    answered = await port.call("POST", "/console/questions", body=b"{}")
    assert (answered.status, "the brokers: " in answered.text) == (502, True)


async def test_where_a_topic_is_missing_it_says_which(broker: Broker) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "QA_QUESTIONS_TOPIC": f"never-made-{uuid.uuid4()}",
    }
    async with served(environment) as (console, number):
        port = Port(number, console)
        try:
            answered = await port.call("POST", "/console/questions", body=b"{}")
        finally:
            await port.client.close()
    assert (answered.status, environment["QA_QUESTIONS_TOPIC"] in answered.text) == (502, True)


async def test_so_many_questions_at_once_and_no_more(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "AT_ONCE", 0)
    answered = await port.call("POST", "/console/questions", body=b"{}")
    assert (answered.status, "on their way" in answered.text) == (429, True)


async def test_samples_come_once_a_second_and_only_what_is_new(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PERIOD_SECONDS", 0.01)
    async with served({"KAFKA_BOOTSTRAP_SERVERS": nobody}) as (console, number):
        port = Port(number, console)
        seen: list[int] = []

        async def some() -> bool:
            seen[:] = await samples(port, 0)
            return bool(seen)

        await until(some, "there are samples")
        assert all(at > seen[-1] for at in await samples(port, seen[-1]))
        assert (await port.call("GET", "/console/samples?after=x")).status == 400
        await port.client.close()


async def samples(port: Port, after: int) -> list[int]:
    """The times of those after this one."""
    answered = await port.call("GET", f"/console/samples?after={after}")
    return [each["at"] for each in json.loads(answered.text)["samples"]]
