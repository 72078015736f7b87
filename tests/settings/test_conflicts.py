"""Settings that contradict each other are refused, and both are named."""

import pytest

from tests.environments import refused
from worker.settings.environment import load


@pytest.mark.parametrize(
    ("environment", "first", "second"),
    [
        ({"QA_TOP_K": "21"}, "QA_TOP_K (21)", "QA_TOP_K_LIMIT (20)"),
        (
            {"QA_MAX_ANSWER_TOKENS": "15", "QA_MAX_ANSWER_TOKENS_LIMIT": "14"},
            "QA_MAX_ANSWER_TOKENS (15)",
            "QA_MAX_ANSWER_TOKENS_LIMIT (14)",
        ),
        ({"QA_DRAIN_SECONDS": "25"}, "QA_DRAIN_SECONDS (25)", "QA_SHUTDOWN_SECONDS (25)"),
        (
            {"QA_TERMINATION_GRACE_PERIOD_SECONDS": "25"},
            "QA_SHUTDOWN_SECONDS (25)",
            "QA_TERMINATION_GRACE_PERIOD_SECONDS (25)",
        ),
        (
            {"KAFKA_HEARTBEAT_INTERVAL_MS": "3334"},
            "KAFKA_HEARTBEAT_INTERVAL_MS (3334)",
            "KAFKA_SESSION_TIMEOUT_MS (10000)",
        ),
        (
            {"KAFKA_REBALANCE_TIMEOUT_MS": "40000"},
            "KAFKA_REBALANCE_TIMEOUT_MS (40000)",
            "KAFKA_REQUEST_TIMEOUT_MS (40000)",
        ),
        (
            {"KAFKA_REBALANCE_TIMEOUT_MS": "15000"},
            "QA_DRAIN_SECONDS (15)",
            "KAFKA_REBALANCE_TIMEOUT_MS (15000)",
        ),
        (
            {"QA_STALL_SECONDS": "300.5"},
            "QA_STALL_SECONDS (300.5)",
            "KAFKA_MAX_POLL_INTERVAL_MS (300000)",
        ),
    ],
)
def test_conflicting_settings_are_both_named(
    environment: dict[str, str], first: str, second: str
) -> None:
    message = refused(**environment)
    assert first in message
    assert second in message


@pytest.mark.parametrize(
    "environment",
    [
        {"QA_TOP_K": "20"},
        {"QA_MAX_ANSWER_TOKENS_LIMIT": "15"},
        {"QA_DRAIN_SECONDS": "24.9"},
        {"QA_TERMINATION_GRACE_PERIOD_SECONDS": "25.1"},
        {"KAFKA_HEARTBEAT_INTERVAL_MS": "3333", "KAFKA_SESSION_TIMEOUT_MS": "9999"},
        {"KAFKA_REBALANCE_TIMEOUT_MS": "39999"},
        {"KAFKA_REBALANCE_TIMEOUT_MS": "15001"},
        {"QA_STALL_SECONDS": "300"},
    ],
)
def test_settings_at_their_bounds_are_accepted(environment: dict[str, str]) -> None:
    load(environment)


@pytest.mark.parametrize(
    ("environment", "same", "topic"),
    [
        (
            {"QA_ANSWERS_TOPIC": "qa.questions"},
            "QA_QUESTIONS_TOPIC and QA_ANSWERS_TOPIC",
            "qa.questions",
        ),
        (
            {"QA_DEAD_LETTERS_TOPIC": "t", "QA_ANSWERS_TOPIC": "t"},
            "QA_ANSWERS_TOPIC and QA_DEAD_LETTERS_TOPIC",
            "t",
        ),
        (
            {"QA_UNSURE_TOPIC": "qa.questions"},
            "QA_QUESTIONS_TOPIC and QA_UNSURE_TOPIC",
            "qa.questions",
        ),
        ({"QA_UNSURE_TOPIC": "qa.answers"}, "QA_ANSWERS_TOPIC and QA_UNSURE_TOPIC", "qa.answers"),
    ],
)
def test_the_topics_must_differ(environment: dict[str, str], same: str, topic: str) -> None:
    assert refused(**environment).endswith(f"{same} must differ; both are {topic}")


@pytest.mark.parametrize(
    "name",
    ["QA_QUESTIONS_TOPIC", "QA_ANSWERS_TOPIC", "QA_DEAD_LETTERS_TOPIC", "QA_UNSURE_TOPIC"],
)
def test_a_topic_has_a_legal_name(name: str) -> None:
    assert f"{name} is 'bad name': not a topic's name" in refused(**{name: "bad name"})
