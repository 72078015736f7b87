"""Tokens for Amazon MSK: who signs them, with what, until when; and what is said without.

Without AWS: STS is a server of the test.
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed

from tests.http_serving import serve
from tests.security.sigv4 import PresignedUrl
from worker.kafka import msk_iam
from worker.kafka.connection import connection_options
from worker.kafka.msk_iam import MskTokenProvider
from worker.settings import SettingsError
from worker.settings.environment import load

KEY, SECRET = "AKIDEXAMPLE", "s3cret/of+the=role"
LIFETIME = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No variable, no file and no instance that gives credentials."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def set_keys(aws: pytest.MonkeyPatch) -> None:
    aws.setenv("AWS_REGION", "eu-west-1")
    aws.setenv("AWS_ACCESS_KEY_ID", KEY)
    aws.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


async def test_the_token_is_a_presigned_url_that_the_secret_key_has_signed(
    aws: pytest.MonkeyPatch,
) -> None:
    set_keys(aws)
    aws.setenv("AWS_SESSION_TOKEN", "session+of/the=role")
    url = PresignedUrl.from_token(await MskTokenProvider().token())
    assert url.host == "kafka.eu-west-1.amazonaws.com"
    assert url.value("Action") == "kafka-cluster:Connect"
    assert url.value("X-Amz-Credential").split("/")[0] == KEY
    assert url.value("X-Amz-Credential").endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert url.value("X-Amz-Security-Token") == "session+of/the=role"
    assert url.has_signature_of(SECRET)
    assert not url.has_signature_of(SECRET[:-1])
    assert abs(datetime.now(UTC) - url.signed) < timedelta(minutes=1)
    assert url.expires - url.signed == LIFETIME


async def test_region_and_keys_of_a_profile(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile kafka]\nregion = us-east-2\n")
    (tmp_path / "credentials").write_text(
        f"[kafka]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    aws.setenv("AWS_PROFILE", "kafka")
    url = PresignedUrl.from_token(await MskTokenProvider().token())
    assert url.host == "kafka.us-east-2.amazonaws.com"
    assert url.has_signature_of(SECRET)
    for variable, region in {"AWS_DEFAULT_REGION": "eu-west-2", "AWS_REGION": "eu-west-3"}.items():
        aws.setenv(variable, region)
        url = PresignedUrl.from_token(await MskTokenProvider().token())
        assert url.host == f"kafka.{region}.amazonaws.com"


class Sts:
    """AssumeRoleWithWebIdentity on this event loop: a provider that blocked it would get no
    answer.
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.denies = False

    async def handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form)
        if self.denies:
            error = "<Code>AccessDenied</Code><Message>Not authorized to perform it</Message>"
            return web.Response(
                status=403,
                text=f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>",
            )
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        credentials = (
            f"<AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            f"<SessionToken>of-the-role</SessionToken><Expiration>{until}</Expiration>"
        )
        name = "AssumeRoleWithWebIdentity"
        return web.Response(
            text=f"<{name}Response><{name}Result><Credentials>{credentials}</Credentials>"
            f"</{name}Result></{name}Response>"
        )


@asynccontextmanager
async def sts(aws: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sts]:
    """With the variables that EKS sets in a pod whose service account has a role (IRSA)."""
    server = Sts()
    app = web.Application()
    app.router.add_post("/", server.handle)
    async with serve(app) as root:
        aws.setenv("AWS_ENDPOINT_URL_STS", root)
        aws.setenv("AWS_REGION", "eu-west-1")
        aws.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/qa-worker")
        (tmp_path / "token").write_text("the-pods-token")
        aws.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        yield server


async def test_the_role_of_a_service_account_is_assumed_once(
    aws: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 0.0
    async with sts(aws, tmp_path) as server:
        provider = MskTokenProvider(lambda: now)
        url = PresignedUrl.from_token(await provider.token())
        now = LIFETIME.total_seconds()
        assert PresignedUrl.from_token(await provider.token()).has_signature_of(SECRET)
    assert url.value("X-Amz-Security-Token") == "of-the-role"
    (asked,) = server.asked
    assert asked["RoleArn"] == "arn:aws:iam::123456789012:role/qa-worker"
    assert asked["WebIdentityToken"] == "the-pods-token"


class _Counting(MskTokenProvider):
    signed = 0

    def _sign(self) -> tuple[str, int]:
        self.signed += 1
        return super()._sign()


async def test_the_token_is_renewed_before_it_expires(aws: pytest.MonkeyPatch) -> None:
    set_keys(aws)
    now = 0.0
    provider = _Counting(lambda: now)
    await asyncio.gather(*(provider.token() for _ in range(5)))
    assert provider.signed == 1, "connections share it"
    now = 0.78 * LIFETIME.total_seconds()
    await provider.token()
    assert provider.signed == 1
    now = 0.80 * LIFETIME.total_seconds()
    await provider.token()
    assert provider.signed == 2


async def test_without_credentials(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"needs the region of the cluster: set AWS_REGION$"):
        MskTokenProvider()
    aws.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(SaslAuthenticationFailed, match="no AWS credentials found: set AWS_PROFILE"):
        await MskTokenProvider().token()
    aws.setenv("AWS_PROFILE", "absent")
    with pytest.raises(
        SettingsError, match=r"^KAFKA_SASL_MECHANISM=AWS_MSK_IAM: .*\(absent\) could not be found$"
    ):
        MskTokenProvider()
    aws.delenv("AWS_PROFILE")
    async with sts(aws, tmp_path) as server:
        server.denies = True
        with pytest.raises(SaslAuthenticationFailed, match="Not authorized to perform it"):
            await MskTokenProvider().token()
    with pytest.raises(KafkaConnectionError, match=r"AWS does not answer: .*127.0.0.1"):
        await MskTokenProvider().token()
    (tmp_path / "token").unlink()
    with pytest.raises(SaslAuthenticationFailed, match=r"/token: No such file or directory$"):
        await MskTokenProvider().token()


async def test_a_silent_sts_is_not_waited_for(aws: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws.setattr(msk_iam, "TIMEOUT_SECONDS", 0.05)
    async with sts(aws, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            aws.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{silent.getsockname()[1]}")
            with pytest.raises(KafkaConnectionError, match="AWS does not answer: Read timeout"):
                await asyncio.wait_for(MskTokenProvider().token(), 5)


async def test_no_log_line_has_the_signature(
    aws: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_keys(aws)
    caplog.set_level(logging.DEBUG)
    url = PresignedUrl.from_token(await MskTokenProvider().token())
    logging.getLogger("test").debug("debug lines are captured")
    assert "debug lines are captured" in caplog.text
    assert url.value("X-Amz-Signature") not in caplog.text


@pytest.mark.process
def test_the_library_is_imported_for_this_login_only() -> None:
    code = "import sys, worker.cli.run; print('botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_without_the_extra(aws: pytest.MonkeyPatch) -> None:
    aws.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    aws.delitem(sys.modules, "worker.kafka.msk_iam")
    kafka = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM",
        }
    ).kafka
    with pytest.raises(SettingsError) as error:
        connection_options(kafka)
    assert str(error.value) == (
        "KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs the extra msk (aws_msk_iam_sasl_signer is not "
        "installed): pip install 'qa-worker[msk]', or build the image with EXTRAS=tracing,msk"
    )
