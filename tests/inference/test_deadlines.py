"""An event whose deadline passes before its first window is taken for a batch does not run."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.inference.conftest import Counted
from worker.inference.deadline import Deadline
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.result import ReadResult
from worker.models.bundle import Bundle

SECONDS = 30
EARLY, DEADLINE, LATE = 1000.0, 2000.0, 3000.0
LONG = "b " * 100
"""A context of several windows of 32 tokens."""


def question(context: str, *, expires: bool) -> Question:
    at = datetime.fromtimestamp(DEADLINE, UTC) if expires else None
    return Question(question="a", context=context, expires_at=at)


def reason(future: Future[ReadResult[Answer]]) -> Reason | None:
    """Why the event was rejected; None for an answer."""
    error = future.exception(SECONDS)
    if error is None:
        return None
    assert isinstance(error, Rejected)
    return error.reason


@pytest.fixture
def windows() -> Counted:
    return Counted("qa_windows_total")


@pytest.fixture
def engine_at(tiny_bundle: Bundle) -> Callable[..., InferenceEngine]:
    """An engine that is not started, by its clock; it runs windows one by one, in their order."""

    def create(clock: Callable[[], float], **options: Any) -> InferenceEngine:
        defaults = {"threads": 1, "max_padding": 0.0, "max_question_tokens": 8, "doc_stride": 4}
        return InferenceEngine(
            tiny_bundle, InferenceOptions(**{**defaults, **options}), clock=clock
        )

    return create


Create = Callable[..., InferenceEngine]


def test_an_event_that_has_expired_is_not_tokenized(engine_at: Create, windows: Counted) -> None:
    tokenized = Counted("qa_stage_seconds_count", stage="preprocess")
    engine = engine_at(lambda: LATE)
    expired = [engine.submit(question(LONG, expires=True)) for _ in range(3000)]
    live = engine.submit(question("b c", expires=False))
    with engine:
        assert {reason(each) for each in expired} == {Reason.EXPIRED}
        assert reason(live) is None
    assert (tokenized.since, windows.since) == (1, 1)
    assert engine.pending_tokens == 0


def test_windows_that_expire_while_they_wait_do_not_run(
    engine_at: Create, windows: Counted
) -> None:
    # Events are preprocessed before the first batch runs.
    engine = engine_at(lambda: LATE if windows.since else EARLY)
    first = engine.submit(question("b c", expires=True))
    waiting = [engine.submit(question(LONG, expires=True)) for _ in range(5)]
    last = engine.submit(question("b", expires=False))
    with engine:
        assert reason(first) is None
        assert {reason(each) for each in waiting} == {Reason.EXPIRED}
        assert reason(last) is None
    assert windows.since == 2
    assert engine.pending_tokens == 0


def test_an_event_of_which_a_window_has_run_is_answered(
    engine_at: Create, windows: Counted
) -> None:
    engine = engine_at(lambda: LATE if windows.since else EARLY)
    with engine:
        future = engine.submit(question(LONG, expires=True))
        assert reason(future) is None
    assert future.result().outcome.windows == windows.since > 1


def test_neighbours_of_an_expired_event_in_its_batch_are_answered(
    engine_at: Create, windows: Counted
) -> None:
    engine = engine_at(lambda: LATE if windows.since else EARLY, max_batch_tokens=1024)
    first = engine.submit(question("b c", expires=False))
    mixed = [engine.submit(question(LONG, expires=number % 2 == 0)) for number in range(6)]
    with engine:
        assert reason(first) is None
        assert [reason(each) for each in mixed] == [Reason.EXPIRED, None] * 3
    answers = {each.result().outcome.model_dump_json() for each in mixed[1::2]}
    assert len(answers) == 1


def test_an_event_expires_after_its_deadline() -> None:
    deadline = Deadline.of(question("b", expires=True))
    assert deadline is not None
    assert not deadline.has_passed(DEADLINE)
    assert deadline.has_passed(DEADLINE + 0.001)
    assert str(deadline.rejection()) == (
        "expired: the deadline 1970-01-01T00:33:20+00:00 passed before the model read the event"
    )
