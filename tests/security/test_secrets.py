"""No secret appears in a log, a metric, an error or the output of `qa-worker settings`.

The log level is debug, at which aiokafka logs every request.
"""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client import generate_latest

from tests.forked import run_forked
from tests.security.secure_broker import KEY_PASSWORD, PASSWORD, USER, SecureBroker
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


def _encodings(secret: str) -> Iterator[bytes]:
    """Yields the secret itself, and its encodings in headers, URLs and requests."""
    raw = secret.encode()
    yield from (raw, repr(raw)[2:-1].encode(), quote(secret).encode(), quote(secret, "").encode())
    for bytes_ in (raw, f"{USER}:{secret}".encode(), f"\0{USER}\0{secret}".encode()):
        yield base64.b64encode(bytes_)
        yield base64.b64encode(bytes_).hex().encode()
    yield raw.hex().encode()


def _lines_with(secret: str, text: str) -> list[str]:
    """Returns the first 300 characters of each line that contains the secret."""
    encodings = list(_encodings(secret))
    lines = text.encode().splitlines()
    return [line.decode()[:300] for line in lines for each in encodings if each in line]


class _WorkerOutput:
    """Collects the output of workers in this process: logs, errors, metrics, settings."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        logging_setup.configure("debug", "json")
        self._capsys = capsys
        self._texts = ""

    async def run_worker(self, topics: Topics, environment: dict[str, str]) -> None:
        """Runs a worker until four questions are answered, or until it fails."""
        settings = topics.with_(**environment)
        options = connection_options(settings.kafka)
        self._texts += f"{settings!r}\n{settings}\n{current(settings)}\n{options['ssl_context']}\n"
        try:
            worker = RunningWorker(settings, StubEngine())
            await worker.ready()
            await until(lambda: topics.has(4), "all questions are answered")
            worker.stop.set()
            await worker.task
        except StreamingError as error:
            self._texts += f"{error!r} {error.__cause__!r} {error.__context__!r}\n"

    def read(self) -> str:
        """Returns all output so far, and the current metrics."""
        captured = self._capsys.readouterr()
        return captured.out + captured.err + self._texts + generate_latest().decode()


@pytest.fixture
def output(
    restored_logging: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> _WorkerOutput:
    # Disables the rate limit of repeated lines.
    monkeypatch.setattr(log_filters, "PERIOD_SECONDS", 0.0)
    return _WorkerOutput(capsys)


async def test_passwords_are_not_logged(
    kafka: SecureBroker, topics: Topics, output: _WorkerOutput
) -> None:
    wrong = "wr0ng-password"
    await topics.send([event(n) for n in range(4)])
    await output.run_worker(topics, kafka.sasl("PLAIN"))
    await output.run_worker(topics, {**kafka.sasl("PLAIN"), "KAFKA_SASL_PASSWORD": wrong})
    text = output.read()
    assert "Request to" in text  # aiokafka's debug lines are in the output
    assert "rejects the login" in text
    assert _lines_with(PASSWORD, text) + _lines_with(wrong, text) == []


async def test_tokens_and_client_secrets_are_not_logged(
    kafka: SecureBroker, topics: Topics, output: _WorkerOutput, tmp_path: Path
) -> None:
    wrong = "wr0ng secret"
    expired = unsigned_token(USER, seconds=-10)
    file = tmp_path / "token"
    file.write_text(expired)
    await topics.send([event(n) for n in range(4)])
    async with token_endpoint(USER) as endpoint:
        await output.run_worker(topics, kafka.oauth(endpoint.url, SECRET))
        await output.run_worker(topics, kafka.oauth(endpoint.url, wrong))
        await output.run_worker(topics, kafka.oauth(file.as_uri(), ""))
    text = output.read()
    assert "Request to" in text
    assert "invalid_client" in text
    assert "invalid_token" in text
    # The client truncates long requests in its log, but the beginning of a token would be left.
    assert "auth=Bearer" not in text
    for secret in (SECRET, wrong, expired, *endpoint.issued_tokens):
        assert _lines_with(secret, text) == []


async def test_secrets_in_no_log_metric_or_command_output(
    kafka: SecureBroker, topics: Topics
) -> None:
    """All secrets at once, in a worker process as in production."""
    secrets = {
        **kafka.tls(),
        **kafka.sasl("PLAIN"),
        "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET": SECRET,
    }
    await topics.send([event(n) for n in range(4)])
    environment = {**topics.environment, **secrets, "QA_LOG_LEVEL": "debug"}
    async with WorkerProcess(environment) as worker:
        await until(lambda: topics.has(4), "all questions are answered")
        pages = [await worker.get(path) for path in ("/metrics", "/healthz", "/readyz")]
        text = worker.output + "".join(page for _, page in pages)
    assert "Request to" in text
    done = await asyncio.to_thread(
        run_forked, "settings", environment={**worker.environment, "COLUMNS": "300"}
    )
    assert done.code == 0
    assert "KAFKA_SSL_KEY_PASSWORD" in done.out
    for secret in (PASSWORD, KEY_PASSWORD, SECRET):
        assert _lines_with(secret, text + done.out + done.err) == []
