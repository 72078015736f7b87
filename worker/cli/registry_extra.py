"""The packages that a schema registry needs: checked before a worker loads its model."""

import importlib.util

from worker.settings import Settings, SettingsError

_PACKAGES = "fastavro", "google.protobuf", "proto_schema_parser"


def check_registry_extra(settings: Settings) -> None:
    """Raises `SettingsError` if `SCHEMA_REGISTRY_URL` is set and the extra is not installed."""
    if settings.schema_registry.url and not all(map(_is_there, _PACKAGES)):
        raise SettingsError(
            'SCHEMA_REGISTRY_URL needs the extra: pip install "qa-worker[registry]"'
        )


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of its parent
        return False
