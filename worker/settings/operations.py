"""What operators see of a worker: its HTTP port, traces, logs, and the console."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from worker.inference.options import split_csv
from worker.settings.base import SettingsGroup

TOKEN_CHARACTERS = 16
"""Minimum length of QA_CONSOLE_TOKEN: 96 bits, for random characters of an alphabet of 64."""


class HttpSettings(SettingsGroup):
    """The port for metrics and probes; OpenTelemetry."""

    http_host: str = Field("0.0.0.0", description="Listen address of /metrics, /healthz, /readyz")  # noqa: S104 - a pod's probes come from outside
    http_port: int = Field(8080, ge=0, le=65535, description="Its port; 0 selects a free port")
    tracing: bool = Field(
        False,
        description="Export OpenTelemetry traces and messaging metrics by OTLP over HTTP; "
        "OTEL_... variables apply",
    )


class ConsoleSettings(SettingsGroup):
    """The web page."""

    console: bool = Field(
        False, description="Serve the web console at /console/: live charts, and a question form"
    )
    console_token: SecretStr | None = Field(
        None, description="Token of the console's users, 16 characters or more"
    )
    console_origins: Annotated[tuple[str, ...], BeforeValidator(split_csv)] = Field(
        (),
        description="Origins under which browsers reach the console, separated by commas, such as "
        "https://qa.example.org; localhost is always allowed",
    )

    @field_validator("console_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/?#@\s]+", origin):
                raise ValueError(
                    f"{origin!r} is not an origin, such as https://qa.example.org:8443"
                )
        return origins

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        token = self.console_token.get_secret_value() if self.console_token else ""
        if self.console and len(token) < TOKEN_CHARACTERS:
            raise ValueError(
                f"QA_CONSOLE needs QA_CONSOLE_TOKEN (or QA_CONSOLE_TOKEN_FILE) of "
                f"{TOKEN_CHARACTERS} characters or more; `openssl rand -hex 16` makes one"
            )
        return self


class LoggingSettings(SettingsGroup):
    """The log."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Minimum level of log events"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal, else json"
    )
