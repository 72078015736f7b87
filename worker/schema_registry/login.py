"""How the client logs in to the registry: credentials and TLS, from the settings."""

import base64
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worker.kafka.tls import client_context
from worker.settings.schema_registry import SchemaRegistrySettings


@dataclass(frozen=True, slots=True)
class Login:
    """What goes with each request. Its `repr` has no credentials."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ssl_context: ssl.SSLContext | None = None
    """None: no registry has an https URL."""


ReadLogin = Callable[[], Login]
"""Reads credentials and certificates, which may have changed. Raises `SettingsError`."""


def login(settings: SchemaRegistrySettings) -> Login:
    """Raises `SettingsError` if a file of TLS cannot be read or has the wrong content."""
    context = None
    if any(url.startswith("https:") for url in settings.url):
        context = client_context("SCHEMA_REGISTRY", settings)
    return Login(_headers(settings), context)


def _headers(settings: SchemaRegistrySettings) -> dict[str, str]:
    if settings.basic_auth_user_info is not None:
        # RFC 7617; aiohttp's own helper encodes in Latin-1.
        user_info = settings.basic_auth_user_info.get_secret_value().encode()
        return {"Authorization": f"Basic {base64.b64encode(user_info).decode()}"}
    if settings.bearer_auth_token is not None:
        return {"Authorization": f"Bearer {settings.bearer_auth_token.get_secret_value()}"}
    return {}
