"""The registry's client logs in: by password, token and certificate, all of which may change."""

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.brokers.certificates import Authority
from tests.schema_registry.registry_server import RegistryServer, registry_server
from worker.schema_registry.client import RegistryClient
from worker.schema_registry.login import login
from worker.schema_registry.opening import registry_client
from worker.schema_registry.responses import RegistryRefusesError, RegistryUnavailableError
from worker.settings import SettingsError
from worker.settings.environment import load, validate


@asynccontextmanager
async def server(tls: ssl.SSLContext | None = None) -> AsyncIterator[RegistryServer]:
    async with registry_server(tls) as registry:
        registry.answers["GET /schemas/ids/1"] = 200, {"schema": '"int"'}
        yield registry


def client(url: str, **environment: str | Path) -> RegistryClient:
    given = {name: str(value) for name, value in environment.items()}
    given["SCHEMA_REGISTRY_URL"] = url
    return registry_client(load(given), lambda: load(given))


@pytest.mark.parametrize(
    ("name", "value", "header"),
    [
        ("BASIC_AUTH_USER_INFO", "ada:pä:ss", "Basic YWRhOnDDpDpzcw=="),
        ("BEARER_AUTH_TOKEN", "a.b-c_d=", "Bearer a.b-c_d="),
    ],
)
async def test_each_request_has_the_credentials(name: str, value: str, header: str) -> None:
    async with server() as registry, client(registry.url) as anonymous:
        registry.authorization = header
        with pytest.raises(RegistryUnavailableError, match="answers 401 Unauthorized"):
            await anonymous.schema(1)
        async with client(registry.url, **{f"SCHEMA_REGISTRY_{name}": value}) as known:
            await known.schema(1)


async def test_a_renewed_token_is_read_when_the_old_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    async with (
        server() as registry,
        client(registry.url, SCHEMA_REGISTRY_BEARER_AUTH_TOKEN_FILE=file) as known,
    ):
        registry.authorization = "Bearer old"
        await known.schema(1)
        registry.authorization = "Bearer new"
        with pytest.raises(RegistryUnavailableError, match="401"):
            await known.schema(1)
        assert len(registry.requests) == 2  # the same token is not sent again
        file.write_text("new\n")
        await known.schema(1)
        file.unlink()
        await known.schema(1)  # the file is not read without need
        registry.authorization = "Bearer newer"
        with pytest.raises(RegistryUnavailableError, match=r"_TOKEN_FILE is .*No such file"):
            await known.schema(1)


async def test_the_credentials_do_not_follow_a_redirect() -> None:
    async with server() as registry, server() as other:
        registry.answers["GET /schemas/ids/1"] = 302, ""
        registry.location = f"{other.url}/schemas/ids/1"
        environment = {"SCHEMA_REGISTRY_BEARER_AUTH_TOKEN": "s3cret"}
        async with client(registry.url, **environment) as known:
            with pytest.raises(RegistryRefusesError, match="answers 302"):
                await known.schema(1)
        assert (len(registry.requests), other.requests) == (1, [])


async def test_proxy_variables_and_netrc_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with server() as registry, client(registry.url) as anonymous:
        await anonymous.schema(1)
        assert "Authorization" not in registry.headers[0]


async def test_no_credentials_are_in_errors_logs_or_representations(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {"SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO": "ada:s3cret"}
    async with server() as registry:
        registry.authorization = "other"
        async with client(f"{registry.url},http://127.0.0.1:1", **secrets) as known:
            with pytest.raises(RegistryUnavailableError) as caught:
                await known.schema(1)
    settings = load({"SCHEMA_REGISTRY_URL": registry.url, **secrets}).schema_registry
    said = f"{caught.value!r} {caught.value} {known!r} {login(settings)!r} {settings!r}"
    assert "answers 401" in said
    for secret in ("s3cret", "YWRhOnMzY3JldA=="):
        assert secret not in said + caplog.text


class Certificates:
    """Of an authority, a server, and a client whose key has a password."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory)
        self.store = self.authority.keystore("client", password="hush")
        self.server = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=self.authority.certificate
        )
        self.server.load_cert_chain(self.authority.keystore("server", host="127.0.0.1"))
        self.settings: dict[str, str | Path] = {
            "SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION": self.authority.certificate,
            "SCHEMA_REGISTRY_SSL_KEYSTORE_LOCATION": self.store,
            "SCHEMA_REGISTRY_SSL_KEY_PASSWORD": "hush",
        }


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.process
@pytest.mark.tools
async def test_certificates_of_both_sides_are_verified(certificates: Certificates) -> None:
    async with server(certificates.server) as registry:
        async with client(registry.url, **certificates.settings) as known:
            await known.schema(1)
            certificates.server.verify_mode = ssl.CERT_REQUIRED
            try:
                async with client(registry.url, **certificates.settings) as again:
                    await again.schema(1)
                name = "SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION"
                truststore = {name: certificates.settings[name]}
                async with client(registry.url, **truststore) as anonymous:
                    with pytest.raises(RegistryUnavailableError, match="does not answer"):
                        await anonymous.schema(1)
            finally:
                certificates.server.verify_mode = ssl.CERT_NONE
        async with client(registry.url) as unaware:
            with pytest.raises(RegistryUnavailableError, match="self-signed certificate"):
                await unaware.schema(1)
        other_name = registry.url.replace("127.0.0.1", "localhost")
        async with client(other_name, **certificates.settings) as misled:
            with pytest.raises(RegistryUnavailableError, match="Hostname mismatch"):
                await misled.schema(1)


@pytest.mark.process
@pytest.mark.tools
async def test_a_new_authority_is_read_when_the_old_one_fails(
    certificates: Certificates, tmp_path: Path
) -> None:
    truststore = tmp_path / "ca.pem"
    truststore.write_bytes(Authority(tmp_path, "other").certificate.read_bytes())
    async with (
        server(certificates.server) as registry,
        client(registry.url, SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION=truststore) as known,
    ):
        with pytest.raises(RegistryUnavailableError, match="certificate verify failed"):
            await known.schema(1)
        truststore.write_bytes(certificates.authority.certificate.read_bytes())
        with pytest.raises(RegistryUnavailableError):
            await known.schema(1)
        await known.schema(1)


@pytest.mark.process
@pytest.mark.tools
async def test_unusable_stores_and_passwords_are_named(
    certificates: Certificates, tmp_path: Path
) -> None:
    missing = tmp_path / "nothing.pem"
    for name in ("SSL_TRUSTSTORE_LOCATION", "SSL_KEYSTORE_LOCATION"):
        with pytest.raises(SettingsError) as caught:
            async with client("https://a", **{f"SCHEMA_REGISTRY_{name}": missing}):
                pass
        said = str(caught.value)
        assert said == f"SCHEMA_REGISTRY_{name} is '{missing}': No such file or directory"
    wrong = {"SCHEMA_REGISTRY_SSL_KEY_PASSWORD": "wr0ng"}
    with pytest.raises(SettingsError, match="_SSL_KEY_PASSWORD does not decrypt its key") as caught:
        async with client("https://a", **{**certificates.settings, **wrong}):
            pass
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION": "/ca.pem"},
            "SCHEMA_REGISTRY_SSL_TRUSTSTORE_LOCATION has no effect without an https URL in "
            "SCHEMA_REGISTRY_URL",
        ),
        (
            {"SCHEMA_REGISTRY_BEARER_AUTH_TOKEN": "Bearer s3cret"},
            "SCHEMA_REGISTRY_BEARER_AUTH_TOKEN must be a token alone, without `Bearer`",
        ),
        (
            {"SCHEMA_REGISTRY_BEARER_AUTH_TOKEN": "s3cret\r\nHost: a"},
            "SCHEMA_REGISTRY_BEARER_AUTH_TOKEN must be a token alone, without `Bearer`",
        ),
    ],
)
def test_settings_without_effect_or_sense_are_refused(
    environment: dict[str, str], problem: str
) -> None:
    assert validate({"SCHEMA_REGISTRY_URL": "http://a:8081", **environment}) == [problem]
