"""Parses `QA_QUESTIONS_TOPICS`: several input topics, each with a weight. Pure."""

import re
from collections.abc import Collection, Sequence

from schemas.reply import TOPIC_NAME, is_topic_name

MAX_WEIGHT = 1000


def parse_topics(entries: Sequence[str]) -> dict[str, int]:
    """Topic to weight, in the order of `entries`: each is a name, or name:weight.

    Raises `ValueError` with one line that names the entry and says what to write.
    """
    weights: dict[str, int] = {}
    for entry in entries:
        name, colon, weight = entry.partition(":")
        if not is_topic_name(name):
            raise ValueError(f"{name!r} is not a topic's name: {TOPIC_NAME}")
        if name in weights:
            raise ValueError(f"{name} is in it twice")
        if not colon:
            weight = "1"
        if not (re.fullmatch("[0-9]{1,4}", weight) and 0 < int(weight) <= MAX_WEIGHT):
            raise ValueError(
                f"{name} has the weight {weight!r}; a weight is a whole number from 1 to "
                f"{MAX_WEIGHT}"
            )
        weights[name] = int(weight)
    return weights


def first_topic(text: str) -> str:
    """The first name in the variable's `text`; empty if it is not a topic's name."""
    name = text.partition(",")[0].partition(":")[0].strip()
    return name if is_topic_name(name) else ""


def check_with_one_name(topic: str, topics: Collection[str]) -> None:
    """`topic` is QA_QUESTIONS_TOPIC. Raises `ValueError` if it contradicts QA_QUESTIONS_TOPICS."""
    first = next(iter(topics))
    if topic != first:
        raise ValueError(
            f"QA_QUESTIONS_TOPIC is {topic}, but QA_QUESTIONS_TOPICS begins with {first}: set one "
            f"of them"
        )
