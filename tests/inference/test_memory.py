"""What was made of an event goes with it: nothing waits for the garbage collector, which does not
know how large arrays are, and comes by seldom.
"""

import gc
from collections.abc import Callable, Iterator

import pytest

from schemas.question import Question
from schemas.rejection import Rejected
from worker.inference.engine import InferenceEngine
from worker.inference.job import Job


@pytest.fixture
def started(tiny_reader: InferenceEngine) -> InferenceEngine:
    tiny_reader.start()
    return tiny_reader


@pytest.fixture
def jobs_left() -> Iterator[Callable[[], int]]:
    """How many jobs there are since the test began, while no garbage is collected."""
    gc.collect()
    gc.disable()
    before = _jobs()
    yield lambda: _jobs() - before
    gc.enable()


def _jobs() -> int:
    return sum(isinstance(thing, Job) for thing in gc.get_objects())


def test_an_answered_question_leaves_nothing(
    started: InferenceEngine, jobs_left: Callable[[], int]
) -> None:
    for number in range(3):
        asked = Question(id=str(number), question="a", context="a answer " * 100)
        assert started.submit(asked).result(30).outcome.windows
    # The thread may still hold the last.
    assert jobs_left() <= 1


def test_a_rejected_question_leaves_nothing(
    started: InferenceEngine, jobs_left: Callable[[], int]
) -> None:
    for number in range(3):
        asked = Question(id=str(number), question="a", context="a " * 20_000)
        with pytest.raises(Rejected, match="the limit is 256"):
            started.submit(asked).result(30)
    assert jobs_left() <= 1
