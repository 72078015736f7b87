"""Builds an `ssl.SSLContext` from truststore and keystore settings (PEM files)."""

import ssl
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from worker.settings import KafkaSettings, SettingsError


class TlsFiles(Protocol):
    """Settings of TLS, of the same names for each client."""

    @property
    def ssl_truststore_location(self) -> Path | None: ...

    @property
    def ssl_keystore_location(self) -> Path | None: ...

    @property
    def ssl_key_password(self) -> SecretStr | None: ...


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Raises `SettingsError` if a file cannot be read or has the wrong content."""
    context = client_context("KAFKA", kafka)
    context.check_hostname = kafka.ssl_endpoint_identification_algorithm == "https"
    return context


def client_context(prefix: str, files: TlsFiles) -> ssl.SSLContext:
    """The context of a client whose variables begin with `prefix`, with host names verified.

    Raises `SettingsError` if a file cannot be read or has the wrong content.
    """
    context = _load_truststore(prefix, files.ssl_truststore_location)
    if files.ssl_keystore_location is not None:
        _load_client_certificate(context, prefix, files.ssl_keystore_location, files)
    return context


def _load_truststore(prefix: str, truststore: Path | None) -> ssl.SSLContext:
    name = f"{prefix}_SSL_TRUSTSTORE_LOCATION"
    try:
        return ssl.create_default_context(cafile=str(truststore) if truststore else None)
    except ssl.SSLError:
        raise SettingsError(f"{name} is {str(truststore)!r}: no PEM certificate in it") from None
    except OSError as error:
        raise SettingsError(f"{name} is {str(truststore)!r}: {error.strerror}") from None


def _load_client_certificate(
    context: ssl.SSLContext, prefix: str, keystore: Path, files: TlsFiles
) -> None:
    password_needed = False

    def password() -> str:
        # Without this callback OpenSSL would prompt on the terminal.
        nonlocal password_needed
        password_needed = True
        secret = files.ssl_key_password
        return secret.get_secret_value() if secret else ""

    location = f"{prefix}_SSL_KEYSTORE_LOCATION is {str(keystore)!r}"
    try:
        context.load_cert_chain(keystore, password=password)
    except ssl.SSLError as error:
        if not password_needed:
            raise SettingsError(
                f"{location}: not a PEM file of a key and its certificates "
                f"({error.reason or error})"
            ) from None
        fault = "does not decrypt" if files.ssl_key_password else "is required to decrypt"
        raise SettingsError(f"{location}: {prefix}_SSL_KEY_PASSWORD {fault} its key") from None
    except OSError as error:
        raise SettingsError(f"{location}: {error.strerror}") from None
