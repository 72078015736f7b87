"""Settings of the schema registry's client: `SCHEMA_REGISTRY_...`, under the names that Confluent's
images and tools use for the client's properties `schema.registry.url`, `basic.auth.user.info`, ...
"""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from worker.inference.options import split_csv
from worker.settings.base import SettingsGroup

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750."""

_URL = re.compile(r"https?://[^\s/@?#]+(/[^\s?#]*)?")


class SchemaRegistrySettings(SettingsGroup):
    """Field `x_y` is the variable `SCHEMA_REGISTRY_X_Y`."""

    url: Annotated[tuple[str, ...], BeforeValidator(split_csv)] = Field(
        (),
        description="URLs of the schema registry, separated by commas; each is tried when the one "
        "before it does not answer. Empty: values are JSON",
    )
    basic_auth_user_info: SecretStr | None = Field(
        None, description="USER:PASSWORD for the registry"
    )
    bearer_auth_token: SecretStr | None = Field(None, description="Bearer token for the registry")
    ssl_truststore_location: Path | None = Field(
        None, description="PEM file of CA certificates for the registry; default: the system's"
    )
    ssl_keystore_location: Path | None = Field(
        None, description="PEM file of the client's key and certificate chain for the registry"
    )
    ssl_key_password: SecretStr | None = Field(
        None, description="Password of the key in SCHEMA_REGISTRY_SSL_KEYSTORE_LOCATION"
    )
    request_timeout_ms: int = Field(
        10_000, ge=100, description="Timeout of a request to the registry"
    )

    @field_validator("url")
    @classmethod
    def _check_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not _URL.fullmatch(url):
                raise ValueError(
                    "give URLs without credentials and query, such as https://registry:8081; "
                    "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO takes the credentials"
                )
        return tuple(url.rstrip("/") for url in urls)

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        given = [
            name
            for name, field in type(self).model_fields.items()
            if name not in ("url", "request_timeout_ms") and getattr(self, name) != field.default
        ]
        if given and not self.url:
            raise ValueError(f"SCHEMA_REGISTRY_{given[0].upper()} needs SCHEMA_REGISTRY_URL")
        tls = [name for name in given if name.startswith("ssl_")]
        if tls and not any(url.startswith("https:") for url in self.url):
            raise ValueError(
                f"SCHEMA_REGISTRY_{tls[0].upper()} has no effect without an https URL in "
                f"SCHEMA_REGISTRY_URL"
            )
        if self.basic_auth_user_info and self.bearer_auth_token:
            raise ValueError(
                "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO and SCHEMA_REGISTRY_BEARER_AUTH_TOKEN are "
                "two ways to log in; set one"
            )
        user_info = self.basic_auth_user_info
        if user_info and ":" not in user_info.get_secret_value():
            raise ValueError("SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO must be USER:PASSWORD")
        token = self.bearer_auth_token
        if token and not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError(
                "SCHEMA_REGISTRY_BEARER_AUTH_TOKEN must be a token alone, without `Bearer`"
            )
        if self.ssl_key_password and not self.ssl_keystore_location:
            raise ValueError(
                "SCHEMA_REGISTRY_SSL_KEY_PASSWORD needs SCHEMA_REGISTRY_SSL_KEYSTORE_LOCATION"
            )
        return self
