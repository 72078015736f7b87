"""The SSLContext of the TLS settings. tests/security shows that brokers accept it."""

import ssl
from pathlib import Path

import pytest

from tests.brokers.certificates import Authority
from worker.kafka.tls import ssl_context
from worker.settings import SettingsError
from worker.settings.environment import load


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def context(**environment: str | Path) -> ssl.SSLContext:
    given = {name: str(value) for name, value in environment.items()}
    return ssl_context(load({"KAFKA_SECURITY_PROTOCOL": "SSL", **given}).kafka)


def refused(**environment: str | Path) -> str:
    with pytest.raises(SettingsError) as caught:
        context(**environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_broker_certificates_are_verified_by_default() -> None:
    made = context()
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_without_host_check_the_certificate_is_still_verified() -> None:
    made = context(KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM="none")
    assert not made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.process
@pytest.mark.tools
def test_keystore_with_and_without_password(authority: Authority) -> None:
    store = authority.keystore("locked", password="hush")
    context(KAFKA_SSL_KEYSTORE_LOCATION=store, KAFKA_SSL_KEY_PASSWORD="hush")
    context(KAFKA_SSL_KEYSTORE_LOCATION=authority.keystore("open"))


@pytest.mark.process
@pytest.mark.tools
def test_wrong_key_password_is_an_error_not_a_prompt(
    authority: Authority,
) -> None:
    store = authority.keystore("locked", password="hush")
    said = refused(KAFKA_SSL_KEYSTORE_LOCATION=store, KAFKA_SSL_KEY_PASSWORD="s3cret")
    assert said.endswith("KAFKA_SSL_KEY_PASSWORD does not decrypt its key")
    assert "s3cret" not in said
    said = refused(KAFKA_SSL_KEYSTORE_LOCATION=store)
    assert said.endswith("KAFKA_SSL_KEY_PASSWORD is required to decrypt its key")


@pytest.mark.process
@pytest.mark.tools
def test_unusable_store_files_are_named(authority: Authority, tmp_path: Path) -> None:
    nothing, noise = tmp_path / "nothing.pem", tmp_path / "noise.pem"
    noise.write_bytes(b"\0\1\2")
    for name in ("KAFKA_SSL_KEYSTORE_LOCATION", "KAFKA_SSL_TRUSTSTORE_LOCATION"):
        assert refused(**{name: nothing}) == f"{name} is '{nothing}': No such file or directory"
        assert refused(**{name: noise}).startswith(f"{name} is '{noise}': ")
    # A certificate without its key.
    said = refused(KAFKA_SSL_KEYSTORE_LOCATION=authority.certificate)
    assert "not a PEM file of a key and its certificates" in said
