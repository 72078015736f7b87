"""SCHEMA_REGISTRY_URL without the extra."""

import sys

import pytest

from worker.cli.registry_extra import check_registry_extra
from worker.settings import SettingsError
from worker.settings.environment import load

SETTINGS = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "SCHEMA_REGISTRY_URL": "http://127.0.0.1"}


@pytest.mark.parametrize("missing", ["fastavro", "google", "google.protobuf"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    check_registry_extra(load(SETTINGS))
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SettingsError, match=r"URL needs the extra: pip install .qa-worker\[reg"):
        check_registry_extra(load(SETTINGS))
    check_registry_extra(load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}))
