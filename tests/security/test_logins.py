"""Every login that the worker supports, and the error of each that fails."""

import asyncio
from pathlib import Path

import pytest

from tests.brokers.certificates import Authority
from tests.security.secured import KEY_PASSWORD, PASSWORD, USER, Secured
from tests.security.token_endpoint import SECRET, token_endpoint, unsigned_token
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.kafka.errors import StreamingError

pytestmark = [pytest.mark.broker, pytest.mark.process, pytest.mark.tools]

Environment = dict[str, str]


async def _answers(topics: Topics, environment: Environment, count: int = 4) -> None:
    """Sends four questions, of which there then are `count` answers."""
    await topics.send([event(n) for n in range(4)])
    worker = RunningWorker(topics.with_(**environment), StubEngine())
    await worker.ready()
    await until(lambda: topics.has(count), "all is answered")
    worker.stop.set()
    await worker.task


async def _refused(topics: Topics, environment: Environment) -> str:
    with pytest.raises(StreamingError) as ended:
        async with asyncio.timeout(15):
            await RunningWorker(topics.with_(**environment), StubEngine()).task
    assert "\n" not in str(ended.value)
    return str(ended.value)


async def test_sasl_password_over_tls(kafka: Secured, topics: Topics) -> None:
    # One after the other; each goes on where the last one stopped.
    for count, mechanism in enumerate(("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), start=1):
        await _answers(topics, kafka.sasl(mechanism), 4 * count)


async def test_client_certificate_with_an_encrypted_key(
    kafka: Secured, topics: Topics, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(f"{KEY_PASSWORD}\n")
    given = {"KAFKA_SSL_KEY_PASSWORD": "", "KAFKA_SSL_KEY_PASSWORD_FILE": str(password)}
    await _answers(topics, {**kafka.tls(), **given})


async def test_host_name_verification_can_be_disabled(kafka: Secured, topics: Topics) -> None:
    by_name = {**kafka.tls(), "KAFKA_BOOTSTRAP_SERVERS": f"localhost:{kafka.port('TLS')}"}
    said = await _refused(topics, by_name)
    assert "certificate is not valid for 'localhost'" in said
    assert "see KAFKA_SSL_TRUSTSTORE_LOCATION and KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGO" in said
    await _answers(topics, {**by_name, "KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM": "none"})


async def test_oauth_reconnects_when_the_broker_ends_a_session(
    kafka: Secured, topics: Topics
) -> None:
    """aiokafka cannot re-authenticate, so the broker closes the connection at the login's end."""
    engine = StubEngine()
    async with token_endpoint(USER) as endpoint:
        endpoint.seconds = 2.0
        scope = {"KAFKA_SASL_OAUTHBEARER_SCOPE": "kafka"}
        settings = topics.with_(**kafka.bearer(endpoint.url, SECRET), **scope)
        worker = RunningWorker(settings, engine)
        await worker.ready()
        at_first = len(endpoint.given)
        sent = 0
        while len(endpoint.given) < at_first + 3:
            await topics.send([event(sent)], partition=0)
            sent += 1
            await until(lambda: topics.has(sent) or worker.task.done(), "it is answered")  # noqa: B023
            assert not worker.task.done(), worker.task.result()
        worker.stop.set()
        await worker.task
    assert await topics.ids() == [f"q-{n}" for n in range(sent)]
    assert set(endpoint.scopes) == {"kafka"}


async def test_oauth_token_from_a_file(kafka: Secured, topics: Topics, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{unsigned_token(USER)}\n")
    await _answers(topics, kafka.bearer(file.as_uri(), ""))


async def test_wrong_password_is_reported_and_not_shown(kafka: Secured, topics: Topics) -> None:
    wrong = PASSWORD[:-1]
    server = f"127.0.0.1:{kafka.port('LOGIN')}"
    for mechanism in ("PLAIN", "SCRAM-SHA-512"):
        said = await _refused(topics, {**kafka.sasl(mechanism), "KAFKA_SASL_PASSWORD": wrong})
        assert said.startswith(f"{server} rejects the login (SASL_SSL, {mechanism}): ")
        assert "invalid" in said.lower()
        assert wrong not in said


async def test_wrong_client_secret_is_reported_not_shown(kafka: Secured, topics: Topics) -> None:
    async with token_endpoint(USER) as endpoint:
        said = await _refused(topics, kafka.bearer(endpoint.url, "wr0ng"))
        assert said.endswith(
            f"the token endpoint {endpoint.url} rejects the request: 401 invalid_client"
        )
        endpoint.status = 503
        said = await _refused(topics, kafka.bearer(endpoint.url, "wr0ng"))
        assert said.endswith(f"the token endpoint {endpoint.url} answers 503")
    said = await _refused(topics, kafka.bearer(endpoint.url, "wr0ng"))
    assert f"the token endpoint {endpoint.url} does not answer" in said
    assert "wr0ng" not in said


async def test_rejected_oauth_token_is_reported(
    kafka: Secured, topics: Topics, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(unsigned_token(USER, seconds=-10))
    bearer = kafka.bearer(file.as_uri(), "")
    assert "the broker rejects the token: invalid_token" in await _refused(topics, bearer)
    file.unlink()
    assert f"the token file '{file}'" in await _refused(topics, bearer)


async def test_wrong_certificates_are_reported(
    kafka: Secured, topics: Topics, tmp_path: Path
) -> None:
    nothing = {"KAFKA_SSL_KEYSTORE_LOCATION": "", "KAFKA_SSL_KEY_PASSWORD": ""}
    said = await _refused(topics, {**kafka.tls(), **nothing})
    assert said.endswith("see KAFKA_SSL_KEYSTORE_LOCATION")

    stranger = Authority(tmp_path)
    theirs = {**nothing, "KAFKA_SSL_KEYSTORE_LOCATION": str(stranger.keystore("stranger"))}
    said = await _refused(topics, {**kafka.tls(), **theirs})
    assert said.endswith("see KAFKA_SSL_KEYSTORE_LOCATION")

    trusting = {"KAFKA_SSL_TRUSTSTORE_LOCATION": str(stranger.certificate)}
    said = await _refused(topics, {**kafka.tls(), **trusting})
    assert "certificate verify failed" in said
    assert "see KAFKA_SSL_TRUSTSTORE_LOCATION" in said


async def test_wrong_security_protocol_is_reported(kafka: Secured, topics: Topics) -> None:
    plain = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.port('TLS')}"}
    said = await _refused(topics, plain)
    assert said.endswith("does its listener use KAFKA_SECURITY_PROTOCOL=PLAINTEXT?")
    tls = {**kafka.tls(), "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka.bootstrap_servers}
    said = await _refused(topics, tls)
    assert said.endswith("does its listener use KAFKA_SECURITY_PROTOCOL=SSL?")
