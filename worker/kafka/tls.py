"""Builds an `ssl.SSLContext` from the truststore and keystore settings (PEM files)."""

import ssl
from pathlib import Path

from worker.settings import KafkaSettings, SettingsError


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Raises `SettingsError` if a file cannot be read or has the wrong content."""
    context = _load_truststore(kafka.ssl_truststore_location)
    context.check_hostname = kafka.ssl_endpoint_identification_algorithm == "https"
    if kafka.ssl_keystore_location is not None:
        _load_client_certificate(context, kafka.ssl_keystore_location, kafka)
    return context


def _load_truststore(truststore: Path | None) -> ssl.SSLContext:
    name = "KAFKA_SSL_TRUSTSTORE_LOCATION"
    try:
        return ssl.create_default_context(cafile=str(truststore) if truststore else None)
    except ssl.SSLError:
        raise SettingsError(f"{name} is {str(truststore)!r}: no PEM certificate in it") from None
    except OSError as error:
        raise SettingsError(f"{name} is {str(truststore)!r}: {error.strerror}") from None


def _load_client_certificate(context: ssl.SSLContext, keystore: Path, kafka: KafkaSettings) -> None:
    password_needed = False

    def password() -> str:
        # Without this callback OpenSSL would prompt on the terminal.
        nonlocal password_needed
        password_needed = True
        secret = kafka.ssl_key_password
        return secret.get_secret_value() if secret else ""

    location = f"KAFKA_SSL_KEYSTORE_LOCATION is {str(keystore)!r}"
    try:
        context.load_cert_chain(keystore, password=password)
    except ssl.SSLError as error:
        if not password_needed:
            raise SettingsError(
                f"{location}: not a PEM file of a key and its certificates "
                f"({error.reason or error})"
            ) from None
        fault = "does not decrypt" if kafka.ssl_key_password else "is required to decrypt"
        raise SettingsError(f"{location}: KAFKA_SSL_KEY_PASSWORD {fault} its key") from None
    except OSError as error:
        raise SettingsError(f"{location}: {error.strerror}") from None
