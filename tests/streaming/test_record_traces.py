"""Whoever follows the records is told of each beginning, and of each end once."""

from collections import Counter

import pytest

from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.observability.record_trace import ANSWERED, DROPPED, RecordTrace


class Following:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.open: list[RecordTrace] = []
        self.ends: list[RecordTrace] = []

    def began(self, journey: RecordTrace) -> None:
        self.open.append(journey)

    def ended(self, journey: RecordTrace) -> None:
        self.open.remove(journey)
        self.ends.append(journey)

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(journey.outcome for journey in self.ends)


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_journey_ends_when_its_offset_is_committed(
    topics: Topics, running: Running, delivery: str
) -> None:
    following = Following()
    settings = topics.settings
    if delivery == "at_least_once":
        # No commit before the third record: to be published is not enough.
        settings = topics.with_(QA_COMMIT_INTERVAL_MS="3600000", QA_COMMIT_RECORDS="3")
    async with running(settings, StubEngine(), following):
        await topics.send([event(0), b"{"], partition=0)
        await until(lambda: len(following.open) + len(following.ends) == 2, "both are taken")
        if delivery == "at_least_once":
            await until(lambda: topics.has(1), "published")
            assert not following.ends
        await topics.send([event(2)], partition=0)
        await until(lambda: len(following.ends) == 3, "all are committed")

    answered, rejected, _ = following.ends
    assert [journey.offset for journey in following.ends] == [0, 1, 2]
    assert (answered.outcome, answered.id) == (ANSWERED, "q-0")
    assert rejected.outcome == "not_json"
    steps = ["decode", "publish"] + (["commit"] if delivery == "at_least_once" else [])
    assert [step.name for step in answered.steps] == steps
    assert answered.taken < answered.ended


async def test_what_is_given_up_is_dropped_and_what_comes_of_it_later_counts_for_nothing(
    topics: Topics, running: Running
) -> None:
    following = Following()
    reader = StubEngine(holds=lambda question: question.question.endswith("1?"))
    async with running(topics.with_(QA_DRAIN_SECONDS="0.1"), reader, following):
        await topics.send([event(n) for n in range(4)], partition=0)
        await until(lambda: len(following.open) + len(following.ends) == 4, "all are taken")
    reader.release_all()

    assert not following.open
    # Behind the one that is not answered nothing is published.
    assert following.outcomes == {ANSWERED: 1, DROPPED: 3}
