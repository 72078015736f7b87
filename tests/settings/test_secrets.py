"""Passwords: from variables or files, and never shown."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr

from tests.environments import PASSWORD, SASL, refused
from worker.settings import KafkaSettings, SchemaRegistrySettings, WorkerSettings
from worker.settings.environment import current, load, variables


def test_a_password_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(f"{PASSWORD}\r\n".encode())
    environment = {**SASL, "KAFKA_SASL_PASSWORD": "", "KAFKA_SASL_PASSWORD_FILE": str(file)}
    password = load(environment).kafka.sasl_password
    assert password is not None
    assert password.get_secret_value() == PASSWORD


def test_spaces_of_a_password_are_its_own(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"  two words \n\n")
    password = load({"KAFKA_SASL_PASSWORD_FILE": str(file)}).kafka.sasl_password
    assert password is not None
    assert password.get_secret_value() == "  two words "


def test_a_password_and_its_file_are_not_both_set() -> None:
    message = refused(KAFKA_SASL_PASSWORD=PASSWORD, KAFKA_SASL_PASSWORD_FILE="/nowhere")
    assert message == "KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE are both set; keep one"


def test_a_missing_file_of_a_password_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere"
    message = refused(KAFKA_SASL_PASSWORD_FILE=str(file))
    assert message == f"KAFKA_SASL_PASSWORD_FILE is '{file}': No such file or directory"


def test_a_password_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe\x00")
    message = refused(KAFKA_SASL_PASSWORD_FILE=str(file))
    assert message == f"KAFKA_SASL_PASSWORD_FILE is '{file}': not UTF-8"


def test_a_password_is_never_shown() -> None:
    settings = load(SASL)
    shown = current(settings)
    assert re.fullmatch(r"\*+", shown["KAFKA_SASL_PASSWORD"])
    assert PASSWORD not in str(shown) + repr(settings) + str(settings)


@pytest.mark.parametrize(
    "environment",
    [{"KAFKA_SASL_USERNAME": ""}, {"KAFKA_SASL_MECHANISM": "NTLM"}, {"QA_TOP_K": "0"}],
)
def test_a_password_is_in_no_error(environment: dict[str, str]) -> None:
    assert PASSWORD not in refused(**{**SASL, **environment})


def test_a_secret_is_known_as_one() -> None:
    secrets = {variable.name for variable in variables() if variable.secret}
    fields = {
        f"{prefix}{name.upper()}"
        for prefix, group in (
            ("QA_", WorkerSettings),
            ("KAFKA_", KafkaSettings),
            ("SCHEMA_REGISTRY_", SchemaRegistrySettings),
        )
        for name, field in group.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert secrets == fields
    assert secrets == {
        "KAFKA_SASL_PASSWORD",
        "KAFKA_SASL_OAUTHBEARER_CLIENT_CREDENTIALS_CLIENT_SECRET",
        "KAFKA_SSL_KEY_PASSWORD",
        "QA_CONSOLE_TOKEN",
        "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO",
        "SCHEMA_REGISTRY_BEARER_AUTH_TOKEN",
        "SCHEMA_REGISTRY_SSL_KEY_PASSWORD",
    }
