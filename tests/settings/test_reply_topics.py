"""Topics that questions may name for their reply."""

import pytest

from worker.settings import SettingsError, WorkerSettings
from worker.settings.environment import load


def qa(**environment: str) -> WorkerSettings:
    return load({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", **environment}).qa


@pytest.mark.parametrize(
    ("allowed", "topic", "may"),
    [
        ("", "replies", False),
        ("replies", "replies", True),
        ("replies", "replies-1", False),
        ("a, replies-*", "replies-1", True),
        ("replies-*", "replies-", True),
        ("replies-*", "replies", False),
        ("*", "anything", True),
        # An answer would be read as a question, or replayed as one.
        ("qa.*", "qa.questions", False),
        ("*", "qa.questions.dead", False),
        ("*", "qa.answers", True),
    ],
)
def test_names_and_prefixes_allow_topics(allowed: str, topic: str, *, may: bool) -> None:
    assert qa(QA_REPLY_TOPICS=allowed).may_reply_to(topic) is may


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"QA_REPLY_TOPICS": "a b"}, "QA_REPLY_TOPICS is 'a b': 'a b' is neither a topic's name"),
        ({"QA_REPLY_TOPICS": "a*b"}, "'a.b' is neither"),
        ({"QA_REPLY_TOPICS": "a,,b"}, "'' is neither"),
        ({"QA_REPLY_TOPICS": "é*"}, "is neither"),
        ({"QA_REPLY_TOPICS": "qa.questions"}, "must not name qa.questions: the worker reads"),
        (
            {"QA_REPLY_TOPICS": "a,dead", "QA_DEAD_LETTERS_TOPIC": "dead"},
            "must not name dead: .* writes dead letters to dead",
        ),
        ({"QA_REPLY_ALSO": "true"}, "QA_REPLY_ALSO needs QA_REPLY_TOPICS"),
    ],
)
def test_settings_that_allow_no_reply_are_refused(
    environment: dict[str, str], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        qa(**environment)


def test_topics_named_in_full_are_those_without_prefixes() -> None:
    assert qa(QA_REPLY_TOPICS="b,a-*,a").named_reply_topics == ["b", "a"]
