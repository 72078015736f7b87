"""Many questions through a reader: one outcome each, in their order, few of them at a time."""

import time
from collections.abc import Iterator

import pytest

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.inference.bundles import POISON
from worker.inference.engine import InferenceEngine
from worker.inference.ordered import map_ordered

REJECTED = Rejected(Reason.NOT_JSON, "line 3")


@pytest.fixture
def started(tiny_reader: InferenceEngine) -> InferenceEngine:
    tiny_reader.start()
    return tiny_reader


def question(name: str, context: str = "b answer c") -> Question:
    return Question(id=name, question="a", context=context)


def told(outcome: Answer | Rejected) -> str:
    return outcome.id if isinstance(outcome, Answer) else str(outcome.reason)


def test_outcomes_come_in_the_order_of_the_questions(started: InferenceEngine) -> None:
    # Long ones take several windows, so that short ones behind them are read before.
    questions = [question(str(n), "b " * (200 if n % 3 == 0 else 2)) for n in range(30)]
    outcomes = list(map_ordered(started, questions))
    assert [told(outcome) for outcome in outcomes] == [str(n) for n in range(30)]


def test_rejections_come_out_in_their_turn(started: InferenceEngine) -> None:
    questions: list[Question | Rejected] = [
        question("1"),
        REJECTED,
        question("2", POISON),
        question("3"),
        REJECTED,
    ]
    outcomes = list(map_ordered(started, questions))
    expected = ["1", "not_json", "model_failed", "3", "not_json"]
    assert [told(outcome) for outcome in outcomes] == expected
    assert outcomes[1] is REJECTED


def test_nothing_in_is_nothing_out(started: InferenceEngine) -> None:
    assert list(map_ordered(started, [])) == []


@pytest.mark.parametrize("max_pending", [1, 50, 200])
def test_about_as_many_tokens_wait_as_allowed(started: InferenceEngine, max_pending: int) -> None:
    each = 40  # more than the estimate or the windows of one question
    seen = []

    def counted() -> Iterator[Question]:
        for number in range(100):
            seen.append(started.pending_tokens)
            yield question(str(number), "b " * 30)

    assert len(list(map_ordered(started, counted(), max_pending=max_pending))) == 100
    assert max(seen) <= max_pending + each


def test_an_outcome_comes_as_soon_as_the_next_question_is_asked(started: InferenceEngine) -> None:
    asked = 0

    def one_at_a_time() -> Iterator[Question]:
        nonlocal asked
        for number in range(100):
            asked += 1
            yield question(str(number))
            while started.pending_tokens:
                time.sleep(0.001)

    assert told(next(map_ordered(started, one_at_a_time()))) == "0"
    assert asked <= 2


def test_outcomes_come_before_all_questions_are_asked(started: InferenceEngine) -> None:
    asked: list[int] = []

    def endless() -> Iterator[Question]:
        while True:
            asked.append(len(asked))
            yield question(str(len(asked)))

    outcomes = map_ordered(started, endless(), max_pending=100)
    assert [told(next(outcomes)) for _ in range(10)] == [str(n) for n in range(1, 11)]
    # Each waiting question is 6 tokens: 10 outcomes need no more than these.
    assert len(asked) < 10 + 100
