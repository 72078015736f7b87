"""Whom to trust, and who we are: PEM files to an `ssl.SSLContext`."""

import ssl
from pathlib import Path

from worker.settings import KafkaSettings, SettingsError


def ssl_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Raises `SettingsError` where a file cannot be read, or is not what it should be."""
    context = _load_truststore(kafka.ssl_truststore_location)
    context.check_hostname = kafka.ssl_endpoint_identification_algorithm == "https"
    if kafka.ssl_keystore_location is not None:
        _load_client_certificate(context, kafka.ssl_keystore_location, kafka)
    return context


def _load_truststore(authorities: Path | None) -> ssl.SSLContext:
    name = "KAFKA_SSL_TRUSTSTORE_LOCATION"
    try:
        return ssl.create_default_context(cafile=str(authorities) if authorities else None)
    except ssl.SSLError:
        raise SettingsError(f"{name} is {str(authorities)!r}: holds no PEM certificate") from None
    except OSError as error:
        raise SettingsError(f"{name} is {str(authorities)!r}: {error.strerror}") from None


def _load_client_certificate(context: ssl.SSLContext, own: Path, kafka: KafkaSettings) -> None:
    asked = False

    def password() -> str:
        # Without this OpenSSL would ask on the terminal, and wait.
        nonlocal asked
        asked = True
        secret = kafka.ssl_key_password
        return secret.get_secret_value() if secret else ""

    where = f"KAFKA_SSL_KEYSTORE_LOCATION is {str(own)!r}"
    try:
        context.load_cert_chain(own, password=password)
    except ssl.SSLError as error:
        if not asked:
            raise SettingsError(
                f"{where}: not a PEM file of a key and its certificates ({error.reason or error})"
            ) from None
        what = "does not open" if kafka.ssl_key_password else "is needed for"
        raise SettingsError(f"{where}: KAFKA_SSL_KEY_PASSWORD {what} its key") from None
    except OSError as error:
        raise SettingsError(f"{where}: {error.strerror}") from None
