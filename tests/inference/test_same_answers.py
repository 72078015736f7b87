"""Same event, same answer, whatever it is read beside: on the model of the package."""

import pytest

from schemas.question import Question
from tests.inference.same_answers import Answers, differing, good_questions, read
from worker.cli.demo_events import demo_questions
from worker.model_tools.evaluation.squad import Example
from worker.models.bundle import DEFAULT_BUNDLE, Bundle, open_bundle

pytestmark = pytest.mark.long

MAX_TOKENS = 192


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """Of the demo: from a few words to a context of several windows."""
    examples = [
        Example(f"{number}-{length}", each.question, each.passages[0].text[:length], ())
        for number, each in enumerate(demo_questions())
        # Number 17 has several windows.
        for length in {0: (200,), 1: (40, 1500)}.get(number % 4, ())
    ]
    return good_questions(examples)


@pytest.fixture(scope="module")
def alone(bundle: Bundle, questions: list[Question]) -> Answers:
    return read(bundle, questions, "alone", threads=1, max_tokens=MAX_TOKENS)


@pytest.mark.parametrize(
    ("way", "threads"),
    [
        ("in order", 1),
        ("in reverse", 2),
        ("alone", 2),
        ("mixed batches", 1),
        ("mixed batches", 2),
    ],
)
def test_order_company_and_threads_change_nothing(
    bundle: Bundle, questions: list[Question], alone: Answers, way: str, threads: int
) -> None:
    answers = read(bundle, questions, way, threads=threads, max_tokens=MAX_TOKENS)
    assert len(answers) == len(questions)
    assert differing(alone, answers) == []
    assert max(answer.windows for answer in answers.values()) > 1


def test_a_difference_is_seen(alone: Answers) -> None:
    one, *rest = alone.values()
    changed = {**alone, one.id: one.model_copy(update={"score": one.score / 2})}
    assert differing(alone, changed) == [one.id]
    assert differing(alone, {each.id: each for each in rest}) == [one.id]
