"""Random framed values, a few of them: `python -m tests.schema_registry.fuzz` reads many."""

import pytest

from schemas.rejection import Reason
from tests.schema_registry.fuzz import fuzz


@pytest.mark.long
async def test_every_framed_value_comes_to_an_event_or_a_typed_rejection() -> None:
    fuzzed = await fuzz(1500, seed=1)
    assert fuzzed.faults == []
    assert fuzzed.outcomes.total() == 1500
    for expected in ("an event", Reason.NOT_AVRO, Reason.NOT_PROTOBUF, Reason.SCHEMA_UNKNOWN):
        assert fuzzed.outcomes[expected] > 10
