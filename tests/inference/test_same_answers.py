"""Same event, same answer, whatever it is read beside: on the model of the package."""

import pytest

from schemas.question import Question
from tests.inference.same_answers import WAYS, Answers, differing, good_questions, read
from worker.cli.demo_events import demo_questions
from worker.model_tools.evaluation.squad import Example
from worker.models.bundle import DEFAULT_BUNDLE, Bundle, open_bundle

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    """Of the demo: from a few words to a context of several windows."""
    examples = [
        Example(f"{number}-{length}", each.question, each.passages[0].text[:length], ())
        for number, each in enumerate(demo_questions())
        for length in (40, 200, 3000)
    ]
    return good_questions(examples)


@pytest.fixture(scope="module")
def alone(bundle: Bundle, questions: list[Question]) -> Answers:
    return read(bundle, questions, "alone", threads=1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("way", WAYS)
def test_order_company_and_threads_change_nothing(
    bundle: Bundle, questions: list[Question], alone: Answers, way: str, threads: int
) -> None:
    answers = read(bundle, questions, way, threads=threads)
    assert len(answers) == len(questions)
    assert differing(alone, answers) == []


def test_a_difference_is_seen(alone: Answers) -> None:
    one, *rest = alone.values()
    changed = {**alone, one.id: one.model_copy(update={"score": one.score / 2})}
    assert differing(alone, changed) == [one.id]
    assert differing(alone, {each.id: each for each in rest}) == [one.id]
