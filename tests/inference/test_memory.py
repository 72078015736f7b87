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
from worker.models.bundle import DEFAULT_BUNDLE, open_bundle
from worker.settings.environment import load


@pytest.fixture
def reader() -> Iterator[InferenceEngine]:
    its = InferenceEngine(open_bundle(DEFAULT_BUNDLE), load({"QA_THREADS": "1"}).qa.inference)
    its.start()
    yield its
    its.close()


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


@pytest.mark.long
def test_an_answered_question_leaves_nothing(
    reader: InferenceEngine, jobs_left: Callable[[], int]
) -> None:
    for number in range(3):
        asked = Question(id=str(number), question="Who wrote it?", context="Ada wrote it. " * 200)
        assert reader.submit(asked).result(30).outcome.windows
    # The thread may still hold the last.
    assert jobs_left() <= 1


@pytest.mark.long
def test_a_rejected_question_leaves_nothing(
    reader: InferenceEngine, jobs_left: Callable[[], int]
) -> None:
    for number in range(3):
        asked = Question(id=str(number), question="Who wrote it?", context="a " * 120_000)
        with pytest.raises(Rejected, match="the limit is 256"):
            reader.submit(asked).result(30)
    assert jobs_left() <= 1
