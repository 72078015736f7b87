"""Whether the packages are installed that Avro and Protobuf need: the extra `registry`."""

import importlib.util

from worker.settings import Settings, SettingsError

PACKAGES = ("antlr4", "fastavro", "google.protobuf", "proto_schema_parser")
"""What the extra installs. None of them is imported without SCHEMA_REGISTRY_URL."""


def require_registry_extra(settings: Settings) -> None:
    """Raises `SettingsError` if the settings name a registry and the extra is not installed."""
    if settings.schema_registry.url and not all(map(_is_installed, PACKAGES)):
        raise SettingsError('SCHEMA_REGISTRY_URL needs the extra: pip install "qa-worker[registry]"')


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # a package above it
        return False
