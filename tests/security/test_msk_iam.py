"""Logins with tokens of Amazon MSK, on Apache Kafka whose validator recomputes the signature."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

from tests.brokers.apache import ApacheKafka, Listener
from tests.brokers.certificates import Authority
from tests.brokers.java_compiler import compile_java
from tests.security.renewals import answer_until
from tests.streaming.conftest import RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics
from worker.kafka.errors import StreamingError

pytestmark = [pytest.mark.broker, pytest.mark.process]

KEY, SECRET, REGION = "AKIDEXAMPLE", "s3cretOfTheRole", "eu-west-1"
SESSION_MS = 2000
"""The broker closes a connection that does not authenticate again in this time."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def kafka(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
    prefix = "listener.name.msk.oauthbearer"
    properties = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.keystore("broker", host="127.0.0.1")),
        "sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{prefix}.sasl.server.callback.handler.class": "SigV4Validator",
        f"{prefix}.sasl.jaas.config": f'{login} required unsecuredLoginStringClaim_sub="broker" '
        f'accessKeyId="{KEY}" secretKey="{SECRET}" region="{REGION}" principal="qa-worker";',
        f"{prefix}.connections.max.reauth.ms": str(SESSION_MS),
    }
    with ApacheKafka(
        properties=properties,
        listeners=[Listener("MSK", protocol="SASL_SSL")],
        classes=compile_java("SigV4Validator", tmp_path_factory.mktemp("classes")),
    ) as kafka:
        yield kafka


@pytest.fixture
async def topics(
    kafka: ApacheKafka, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Topics]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    async with Topics(kafka.bootstrap_servers) as topics:
        await topics.create()
        topics.environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka.port('MSK', 0)}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM",
            "KAFKA_SSL_TRUSTSTORE_LOCATION": str(authority.certificate),
        }
        yield topics


async def test_tokens_are_renewed_before_the_broker_refuses_them(
    topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka cannot re-authenticate: the broker closes each connection after SESSION_MS, and the
    next one needs a token that is still valid.
    """
    signer = "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"
    # A fifth of it is left when a token is renewed; a busy machine takes that for a login.
    monkeypatch.setattr(f"{signer}.DEFAULT_TOKEN_EXPIRY_SECONDS", 10)
    make = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider
    tokens: list[str] = []

    def counted(*arguments: object) -> tuple[str, int]:
        token, expires = make(*arguments)
        tokens.append(token)
        return token, expires

    monkeypatch.setattr(f"{signer}.generate_auth_token_from_credentials_provider", counted)
    worker = RunningWorker(topics.settings, StubEngine())
    await worker.ready()
    enough = len(tokens) + 2
    await answer_until(lambda: len(tokens) >= enough, worker, topics)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wr0ng", "the broker rejects the token: invalid_token"),
        ("AWS_REGION", "us-east-1", "the broker rejects the token: invalid_token"),
        ("AWS_ACCESS_KEY_ID", "", "no AWS credentials"),
    ],
)
async def test_a_login_that_fails_is_one_line(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(Path(os.devnull)))
    monkeypatch.setenv(variable, value)
    with pytest.raises(StreamingError) as error:
        async with asyncio.timeout(15):
            await RunningWorker(topics.settings, StubEngine()).task
    line = str(error.value)
    print(f"\n{line}")
    server = topics.environment["KAFKA_BOOTSTRAP_SERVERS"]
    assert line.startswith(f"{server} rejects the login (SASL_SSL, AWS_MSK_IAM): ")
    assert reason in line
    assert "\n" not in line
    assert "wr0ng" not in line
