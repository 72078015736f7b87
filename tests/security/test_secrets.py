"""No secret is in a log, a metric, an error, or what `qa-worker settings` shows: all of them are
searched, at the level at which the client logs every request.
"""

import asyncio
import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client import generate_latest

from tests.security.secured import KEY_PASSWORD, PASSWORD, USER, Secured
from tests.security.token_endpoint import SECRET, token_endpoint, unsigned_token
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from tests.streaming.worker_process import WorkerProcess
from worker.kafka.connection import connection_options
from worker.kafka.errors import StreamingError
from worker.observability import log_filters, logging_setup
from worker.settings.environment import current

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]


def _forms(secret: str) -> Iterator[bytes]:
    """A secret as it is, and as headers, URLs and requests have it."""
    raw = secret.encode()
    yield from (raw, repr(raw)[2:-1].encode(), quote(secret).encode(), quote(secret, "").encode())
    for bytes_ in (raw, f"{USER}:{secret}".encode(), f"\0{USER}\0{secret}".encode()):
        yield base64.b64encode(bytes_)
        yield base64.b64encode(bytes_).hex().encode()
    yield raw.hex().encode()


def _found(secret: str, text: str) -> list[str]:
    lines = text.encode().splitlines()
    return [line.decode()[:300] for line in lines for form in _forms(secret) if form in line]


class _Said:
    """What workers have said since this began: logs at debug, errors, metrics, settings."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        logging_setup.configure("debug", "json")
        self._capsys = capsys
        self._more = ""

    async def run(self, topics: Topics, environment: dict[str, str]) -> None:
        settings = topics.with_(**environment)
        options = connection_options(settings.kafka)
        self._more += f"{settings!r}\n{settings}\n{current(settings)}\n{options['ssl_context']}\n"
        try:
            worker = RunningWorker(settings, StubEngine())
            await worker.ready()
            await until(lambda: topics.has(4), "all is answered")
            worker.stop.set()
            await worker.task
        except StreamingError as error:
            self._more += f"{error!r} {error.__cause__!r} {error.__context__!r}\n"

    def everything(self) -> str:
        said = self._capsys.readouterr()
        return said.out + said.err + self._more + generate_latest().decode()


@pytest.fixture
def said(
    restored_logging: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> _Said:
    # Each line, not only the first of its kind.
    monkeypatch.setattr(log_filters, "PERIOD_SECONDS", 0.0)
    return _Said(capsys)


async def test_passwords_are_not_logged(kafka: Secured, topics: Topics, said: _Said) -> None:
    wrong = "wr0ng-password"
    await topics.send([event(n) for n in range(4)])
    await said.run(topics, kafka.sasl("PLAIN"))
    await said.run(topics, {**kafka.sasl("PLAIN"), "KAFKA_SASL_PASSWORD": wrong})
    text = said.everything()
    assert "Request to" in text  # at this level they are all there
    assert "rejects the login" in text
    assert _found(PASSWORD, text) + _found(wrong, text) == []


async def test_tokens_and_client_secrets_are_not_logged(
    kafka: Secured, topics: Topics, said: _Said, tmp_path: Path
) -> None:
    wrong = "wr0ng secret"
    old = unsigned_token(USER, seconds=-10)
    file = tmp_path / "token"
    file.write_text(old)
    await topics.send([event(n) for n in range(4)])
    async with token_endpoint(USER) as endpoint:
        await said.run(topics, kafka.bearer(endpoint.url, SECRET))
        await said.run(topics, kafka.bearer(endpoint.url, wrong))
        await said.run(topics, kafka.bearer(file.as_uri(), ""))
    text = said.everything()
    assert "Request to" in text
    assert "invalid_client" in text
    assert "invalid_token" in text
    assert "auth=Bearer" not in text  # the client cuts off long requests, but not all of a token
    for secret in (SECRET, wrong, old, *endpoint.given):
        assert _found(secret, text) == []


async def test_secrets_in_no_log_metric_or_command_output(kafka: Secured, topics: Topics) -> None:
    """All of it at once, in the worker as it runs in production."""
    secrets = {
        **kafka.tls(),
        **kafka.sasl("PLAIN"),
        "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET": SECRET,
    }
    await topics.send([event(n) for n in range(4)])
    environment = {**topics.environment, **secrets, "QA_LOG_LEVEL": "debug"}
    async with WorkerProcess(environment) as worker:
        await until(lambda: topics.has(4), "all is answered")
        pages = [await worker.get(path) for path in ("/metrics", "/healthz", "/readyz")]
        text = worker.output + "".join(page for _, page in pages)
    assert "Request to" in text
    shown = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "worker", "settings"],
        env={**worker.environment, "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "KAFKA_SSL_KEY_PASSWORD" in shown.stdout
    for secret in (PASSWORD, KEY_PASSWORD, SECRET):
        assert _found(secret, text + shown.stdout + shown.stderr) == []
