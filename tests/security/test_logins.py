"""All kinds of login that the worker supports, and the errors of failed logins."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from tests.brokers.certificates import Authority
from tests.faults.proxy import Proxy
from tests.security.renewals import answer_until
from tests.security.secure_broker import KEY_PASSWORD, PASSWORD, USER, SecureBroker
from tests.security.token_endpoint import SECRET, token_endpoint, unsigned_token
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.broker_client import BrokerClient, client_for_transactions
from worker.kafka.errors import StreamingError
from worker.kafka.kafka_node import free_ports

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

Environment = dict[str, str]


async def _run_to_answers(topics: Topics, environment: Environment, total: int = 4) -> None:
    """Sends four questions and runs a worker until the topic has `total` answers."""
    await topics.send([event(n) for n in range(4)])
    worker = RunningWorker(topics.with_(**environment), StubEngine())
    await worker.ready()
    await until(lambda: topics.has(total), "all questions are answered")
    worker.stop.set()
    await worker.task


async def _start_error(topics: Topics, environment: Environment) -> str:
    """Runs a worker that cannot start. Returns its error, which must be one line."""
    with pytest.raises(StreamingError) as error:
        async with asyncio.timeout(15):
            await RunningWorker(topics.with_(**environment), StubEngine()).task
    assert "\n" not in str(error.value)
    return str(error.value)


async def test_sasl_password_over_tls(kafka: SecureBroker, topics: Topics) -> None:
    for run, mechanism in enumerate(("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), start=1):
        await _run_to_answers(topics, kafka.sasl(mechanism), total=4 * run)


async def test_client_certificate_with_an_encrypted_key(
    kafka: SecureBroker, topics: Topics, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{KEY_PASSWORD}\n")
    from_file = {"KAFKA_SSL_KEY_PASSWORD": "", "KAFKA_SSL_KEY_PASSWORD_FILE": str(password)}
    await _run_to_answers(topics, {**kafka.tls(), **from_file})


async def test_host_name_verification_can_be_disabled(kafka: SecureBroker, topics: Topics) -> None:
    by_name = {**kafka.tls(), "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{kafka.port('TLS')}"}
    error = await _start_error(topics, by_name)
    assert "certificate is not valid for 'localhost'" in error
    assert "see KAFKA_SSL_TRUSTSTORE_LOCATION and KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGO" in error
    await _run_to_answers(
        topics, {**by_name, "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "none"}
    )


async def test_oauth_reconnects_when_the_broker_ends_a_session(
    kafka: SecureBroker, topics: Topics
) -> None:
    """aiokafka cannot re-authenticate, so the broker closes the connection when the login ends."""
    engine = StubEngine()
    async with token_endpoint(USER) as endpoint:
        endpoint.token_seconds = 2.0
        scope = {"KAFKA_SASL_OAUTHBEARER_SCOPE": "kafka"}
        settings = topics.with_(**kafka.oauth(endpoint.url, SECRET), **scope)
        worker = RunningWorker(settings, engine)
        await worker.ready()
        enough = len(endpoint.issued_tokens) + 3
        await answer_until(lambda: len(endpoint.issued_tokens) >= enough, worker, topics)
    assert set(endpoint.scopes) == {"kafka"}


async def test_oauth_token_from_a_file(kafka: SecureBroker, topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{unsigned_token(USER)}\n")
    await _run_to_answers(topics, kafka.oauth(file.as_uri(), ""))


async def test_wrong_password_is_reported_and_not_shown(
    kafka: SecureBroker, topics: Topics
) -> None:
    wrong = PASSWORD[:-1]
    server = f"127.0.0.1:{kafka.port('LOGIN')}"
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        error = await _start_error(topics, {**kafka.sasl(mechanism), "KAFKA_SASL_PASSWORD": wrong})
        assert error.startswith(f"{server} rejects the login (SASL_SSL, {mechanism}): ")
        assert "invalid" in error.lower()
        assert wrong not in error


async def test_wrong_client_secret_is_reported_not_shown(
    kafka: SecureBroker, topics: Topics
) -> None:
    async with token_endpoint(USER) as endpoint:
        error = await _start_error(topics, kafka.oauth(endpoint.url, "wr0ng"))
        assert error.endswith(
            f"the token endpoint {endpoint.url} rejects the request: 401 invalid_client"
        )
        endpoint.status = 503
        error = await _start_error(topics, kafka.oauth(endpoint.url, "wr0ng"))
        assert error.endswith(f"the token endpoint {endpoint.url} answers 503")
    error = await _start_error(topics, kafka.oauth(endpoint.url, "wr0ng"))
    assert f"the token endpoint {endpoint.url} does not answer" in error
    assert "wr0ng" not in error


async def test_rejected_oauth_token_is_reported(
    kafka: SecureBroker, topics: Topics, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token(USER, seconds=-10))
    login = kafka.oauth(file.as_uri(), "")
    assert "the broker rejects the token: invalid_token" in await _start_error(topics, login)
    file.unlink()
    assert f"the token file '{file}'" in await _start_error(topics, login)


async def test_a_connection_with_a_rejected_token_is_none(
    kafka: SecureBroker, topics: Topics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """aiokafka would take it for one, and its cluster for one without brokers."""
    file = tmp_path / "token"
    file.write_text(unsigned_token(USER, seconds=-10))
    (port,) = free_ports(1)
    proxy = Proxy(port)
    proxy.target = kafka.port("LOGIN")
    await proxy.start()
    server = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"}
    settings = topics.with_(**{**kafka.oauth(file.as_uri(), ""), **server})
    client = BrokerClient(client_for_transactions(settings.kafka))
    with pytest.raises(KafkaConnectionError, match="Unable to bootstrap"):
        await client.start()
    assert "the broker rejects the token: invalid_token" in caplog.text
    await client.stop()
    await until(lambda: proxy.connections == 0, "the client has closed its connection")
    await proxy.stop()


async def test_wrong_certificates_are_reported(
    kafka: SecureBroker, topics: Topics, tmp_path: Path
) -> None:
    no_keystore = {"KAFKA_SSL_KEYSTORE_LOCATION": "", "KAFKA_SSL_KEY_PASSWORD": ""}
    error = await _start_error(topics, {**kafka.tls(), **no_keystore})
    assert error.endswith("see KAFKA_SSL_KEYSTORE_LOCATION")

    unknown_authority = Authority(tmp_path)
    untrusted = str(unknown_authority.keystore("untrusted"))
    keystore = {**no_keystore, "KAFKA_SSL_KEYSTORE_LOCATION": untrusted}
    error = await _start_error(topics, {**kafka.tls(), **keystore})
    assert error.endswith("see KAFKA_SSL_KEYSTORE_LOCATION")

    truststore = {"KAFKA_SSL_TRUSTSTORE_LOCATION": str(unknown_authority.certificate)}
    error = await _start_error(topics, {**kafka.tls(), **truststore})
    assert "certificate verify failed" in error
    assert "see KAFKA_SSL_TRUSTSTORE_LOCATION" in error


async def test_wrong_security_protocol_is_reported(kafka: SecureBroker, topics: Topics) -> None:
    plain = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.port('TLS')}"}
    error = await _start_error(topics, plain)
    assert error.endswith("does its listener use KAFKA_SECURITY_PROTOCOL=PLAINTEXT?")
    tls = {**kafka.tls(), "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    error = await _start_error(topics, tls)
    assert error.endswith("does its listener use KAFKA_SECURITY_PROTOCOL=SSL?")
