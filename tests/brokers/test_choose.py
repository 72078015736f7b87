"""Selection of the tests' broker by environment variables."""

import pytest

from tests.brokers.choose import choose_broker
from worker.kafka.kafka_distribution import BrokerUnavailable

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    ("value", "name"), [("", "apache"), ("apache", "apache"), ("external", "external")]
)
def test_test_broker_selects(monkeypatch: pytest.MonkeyPatch, value: str, name: str) -> None:
    monkeypatch.setenv("TEST_BROKER", value)

    assert choose_broker().name == name


def test_unknown_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BROKER", "rabbit")

    with pytest.raises(BrokerUnavailable, match="it must be one of apache, docker, external"):
        choose_broker()


def test_external_broker_needs_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BROKER", "external")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)

    with pytest.raises(BrokerUnavailable, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        choose_broker().start()
