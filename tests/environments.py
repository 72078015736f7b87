"""Environments that the settings are read from."""

import pytest

from worker.settings import SettingsError
from worker.settings.environment import load

PASSWORD = "hunter2-ünïcode"
SASL = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "ada",
    "KAFKA_SASL_PASSWORD": PASSWORD,
}


def refused(**environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)
