"""Who logs in, and how: what cannot work together stops the start."""

import pytest

from tests.environments import SASL, refused
from worker.settings.environment import load

ENDPOINT = "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL"
CLIENT_ID = "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_ID"
CLIENT_SECRET = "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET"
OAUTH = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "OAUTHBEARER"}
CLIENT = {ENDPOINT: "https://login.example/token", CLIENT_ID: "ada", CLIENT_SECRET: "s3cret"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("missing", ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_a_password_has_a_name_and_a_name_a_password(mechanism: str, missing: str) -> None:
    environment = {**SASL, "KAFKA_SASL_MECHANISM": mechanism}
    load(environment)
    assert missing in refused(**{**environment, missing: ""})


def test_a_token_comes_from_somewhere() -> None:
    assert ENDPOINT in refused(**OAUTH)


@pytest.mark.parametrize("missing", [CLIENT_ID, CLIENT_SECRET])
def test_an_endpoint_is_told_who_asks(missing: str) -> None:
    load({**OAUTH, **CLIENT})
    assert missing in refused(**{**OAUTH, **CLIENT, missing: ""})


def test_a_token_file_needs_no_client_credentials() -> None:
    kafka = load({**OAUTH, ENDPOINT: "file:///var/run/secrets/kafka/token"}).kafka
    assert kafka.sasl_oauthbearer_token_endpoint_url == "file:///var/run/secrets/kafka/token"


@pytest.mark.parametrize(
    "url",
    [
        "login.example/token",
        "ftp://login.example/token",
        "file://token",
        "https://login example/token",
        # It would be shown wherever the address is.
        "https://ada:s3cret@login.example/token",
    ],
)
def test_an_endpoint_is_an_address_without_secrets(url: str) -> None:
    assert refused(**{**OAUTH, **CLIENT, ENDPOINT: url}).startswith(f"{ENDPOINT} is ")


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT"])
def test_a_client_certificate_needs_tls(protocol: str) -> None:
    environment = {**SASL, "KAFKA_SSL_KEYSTORE_LOCATION": "/etc/kafka/worker.pem"}
    load({**environment, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})
    said = refused(**{**environment, "KAFKA_SECURITY_PROTOCOL": protocol})
    assert f"has no effect with KAFKA_SECURITY_PROTOCOL={protocol}" in said


def test_a_password_of_a_key_is_of_some_key() -> None:
    said = refused(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_KEY_PASSWORD="s3cret")
    assert said == "KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEYSTORE_LOCATION"


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT", "SSL"])
def test_a_token_of_msk_needs_sasl_and_tls(protocol: str) -> None:
    environment = {"KAFKA_SASL_MECHANISM": "AWS_MSK_IAM", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}
    assert load(environment).kafka.has_token_login
    said = refused(**{**environment, "KAFKA_SECURITY_PROTOCOL": protocol})
    assert said == (
        f"KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL, not {protocol}"
    )
