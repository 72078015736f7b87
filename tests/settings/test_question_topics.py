"""Several questions topics with weights: `QA_QUESTIONS_TOPICS`."""

import pytest

from tests.environments import refused
from worker.settings import WorkerSettings
from worker.settings.environment import current, load

TWO = "qa.questions.interactive:8, qa.questions.batch"


def qa(**environment: str) -> WorkerSettings:
    return load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", **environment}).qa


def test_one_topic_has_weight_one() -> None:
    assert qa().question_topics == {"qa.questions": 1}
    assert qa(QA_QUESTIONS_TOPIC="mine").question_topics == {"mine": 1}


def test_topics_keep_their_order_and_the_first_stands_for_one() -> None:
    found = qa(QA_QUESTIONS_TOPICS=TWO)
    expected = [("qa.questions.interactive", 8), ("qa.questions.batch", 1)]
    assert list(found.question_topics.items()) == expected
    assert found.questions_topic == "qa.questions.interactive"
    assert found.topics == [
        "qa.questions.interactive",
        "qa.questions.batch",
        "qa.answers",
        "qa.questions.dead",
    ]


def test_shown_settings_can_be_loaded_again() -> None:
    settings = load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "QA_QUESTIONS_TOPICS": TWO})
    shown = current(settings)
    assert shown["QA_QUESTIONS_TOPICS"] == TWO.replace(" ", "")
    assert load(shown) == settings


@pytest.mark.parametrize(
    ("topics", "problem"),
    [
        ("a:0", "a has the weight '0'; a weight is a whole number from 1 to 1000"),
        ("a:1001", "a has the weight '1001'; a weight is a whole number from 1 to 1000"),
        ("a:1.5", "a has the weight '1.5'"),
        ("a:-1", "a has the weight '-1'"),
        ("a:", "a has the weight ''"),
        ("a:٣", "a has the weight '٣'"),
        ("a:1:2", "a has the weight '1:2'"),
        ("a:" + "9" * 5000, "a weight is a whole number from 1 to 1000"),
        ("a,,b", "'' is not a topic's name"),
        ("a b:1", "'a b' is not a topic's name"),
        ("a:1,b:2,a:3", "a is in it twice"),
    ],
)
def test_what_is_not_a_list_of_weighted_topics_is_refused(topics: str, problem: str) -> None:
    message = refused(QA_QUESTIONS_TOPICS=topics)
    assert message.startswith("QA_QUESTIONS_TOPICS is ")
    assert problem in message
    assert "\n" not in message


def test_weights_at_their_bounds_are_accepted() -> None:
    assert qa(QA_QUESTIONS_TOPICS="a:1000,b:1").question_topics == {"a": 1000, "b": 1}


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        (
            {"QA_QUESTIONS_TOPIC": "b", "QA_QUESTIONS_TOPICS": "a:8,b:1"},
            "QA_QUESTIONS_TOPIC is b, but QA_QUESTIONS_TOPICS begins with a: set one of them",
        ),
        (
            {"QA_QUESTIONS_TOPICS": "a:8,qa.answers:1"},
            "QA_QUESTIONS_TOPICS and QA_ANSWERS_TOPIC must differ; both are qa.answers",
        ),
        (
            {"QA_QUESTIONS_TOPICS": "a,b", "QA_UNSURE_TOPIC": "b"},
            "QA_QUESTIONS_TOPICS and QA_UNSURE_TOPIC must differ; both are b",
        ),
        (
            {"QA_QUESTIONS_TOPICS": "a,b", "QA_REPLY_TOPICS": "b"},
            "QA_REPLY_TOPICS must not name b: the worker reads its questions from a, b",
        ),
    ],
)
def test_contradictions_are_one_line(environment: dict[str, str], problem: str) -> None:
    assert problem in refused(**environment)


def test_both_settings_may_agree() -> None:
    found = qa(QA_QUESTIONS_TOPIC="a", QA_QUESTIONS_TOPICS="a:8,b:1")
    assert found.question_topics == {"a": 8, "b": 1}


def test_no_question_topic_takes_replies() -> None:
    found = qa(QA_QUESTIONS_TOPICS="a,b", QA_REPLY_TOPICS="*")
    assert not found.may_reply_to("a")
    assert not found.may_reply_to("b")
    assert found.may_reply_to("c")
