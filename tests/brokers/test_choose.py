"""Which broker is taken, and that a choice that cannot be met is an error."""

import pytest

from tests.brokers.choose import choose_broker
from worker.kafka.kafka_distribution import BrokerUnavailable

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    ("chosen", "name"), [("", "apache"), ("apache", "apache"), ("external", "external")]
)
def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch, chosen: str, name: str) -> None:
    monkeypatch.setenv("TEST_BROKER", chosen)

    assert choose_broker().name == name


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BROKER", "rabbit")

    with pytest.raises(BrokerUnavailable, match="it must be one of apache, docker, external"):
        choose_broker()


def test_an_external_broker_needs_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BROKER", "external")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)

    with pytest.raises(BrokerUnavailable, match="KAFKA_BOOTSTRAP_SERVERS is not set"):
        choose_broker().start()
