"""Outages of the schema registry under load, with a worker process that is killed meanwhile.

All faults, with figures: `python -m tests.bench.registry_outage`.
"""

import pytest

from tests.brokers.protocol import Broker
from tests.schema_registry.faulty_registry import Fault
from tests.schema_registry.outages import run_outage

pytestmark = [pytest.mark.process, pytest.mark.alone]


@pytest.mark.parametrize("fault", [Fault.KILLED, Fault.HANGS])
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_an_outage_of_the_registry_loses_nothing(
    broker: Broker, delivery: str, fault: Fault
) -> None:
    result = await run_outage(
        broker.bootstrap_servers, delivery, fault, seconds=2, kill_worker=True
    )
    assert (result.lost, result.dead_letters) == (0, 0)
    assert result.waited > 0
    if delivery == "exactly_once":
        assert (result.repeated, result.disordered) == (0, 0)
