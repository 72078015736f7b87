"""Which broker is taken, and that a demand is never quietly let go."""

from typing import cast

import pytest

from tests.brokers import choose
from tests.brokers.choose import Way, choose_broker
from tests.brokers.protocol import Broker
from worker.kafka.dev_broker import BrokerUnavailable


def way(name: str, why_not: str | None = None) -> Way:
    return Way(lambda: why_not, lambda: cast(Broker, name))


@pytest.fixture(autouse=True)
def ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the first, with the second and the third."""
    ways = {
        "external": way("external", "no address"),
        "apache": way("apache"),
        "embedded": way("embedded"),
    }
    monkeypatch.setattr(choose, "WAYS", ways)
    monkeypatch.delenv("TEST_BROKER", raising=False)


def test_the_first_that_can_be_had_is_taken_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert cast(str, choose_broker()) == "apache"
    assert capsys.readouterr().out == "\nbroker: apache; not external: no address\n"


def test_a_demand_goes_before_the_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEST_BROKER", "embedded")

    assert cast(str, choose_broker()) == "embedded"
    assert capsys.readouterr().out == "\nbroker: embedded, as TEST_BROKER demands\n"


@pytest.mark.parametrize(
    ("demanded", "why"),
    [
        ("external", "TEST_BROKER=external cannot be met: external: no address"),
        ("rabbit", "TEST_BROKER=rabbit: it must be one of external, apache, embedded"),
    ],
)
def test_a_demand_that_cannot_be_met_is_an_error(
    monkeypatch: pytest.MonkeyPatch, demanded: str, why: str
) -> None:
    monkeypatch.setenv("TEST_BROKER", demanded)

    with pytest.raises(BrokerUnavailable) as raised:
        choose_broker()

    assert str(raised.value) == why


def test_where_there_is_none_every_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "WAYS", {"docker": way("", "no engine"), "apache": way("", "old")})

    with pytest.raises(BrokerUnavailable, match="no broker to be had: docker: no engine; apache"):
        choose_broker()
