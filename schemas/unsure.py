"""Headers of an unsure question: its answer's score was too low, and the worker sent it on.

The record is the question's, with unchanged key, value and headers, and these headers behind them.
So people, or a worker with a larger model, can read the topic of such records as questions. The
answer to one has the headers that name the place of the question.
"""

import re
from collections.abc import Sequence

from schemas.answer import Answer
from schemas.rejection import Header

TOPIC = "qa.unsure.topic"
PARTITION = "qa.unsure.partition"
OFFSET = "qa.unsure.offset"
ORIGIN = (TOPIC, PARTITION, OFFSET)
"""The place of the question that was asked first, in decimal."""

ANSWER = "qa.unsure.answer"
"""The best span, shortened to `ANSWER_LIMIT`; empty if the model prefers no answer."""
SCORE = "qa.unsure.score"
"""Its score, in decimal."""
MODEL = "qa.unsure.model"
"""The name of the model that was unsure."""

ANSWER_LIMIT = 1_000
"""In characters: a span may be one long word."""

_NUMBER = re.compile(rb"[0-9]{1,18}")


def unsure_headers(
    answer: Answer, *, topic: str, partition: int, offset: int, headers: Sequence[Header]
) -> list[Header]:
    """`headers`, those of the question at this place, and behind them what `answer` says.

    A question that was sent on before keeps the place where it was asked first; of the other
    headers it gets new ones, and the last of two with one name counts.
    """
    best = answer.answers[0]
    said = {
        ANSWER: best.answer[:ANSWER_LIMIT],
        SCORE: f"{best.score:.6f}",
        MODEL: answer.model.name,
    }
    place = {TOPIC: topic, PARTITION: str(partition), OFFSET: str(offset)}
    added = said if origin(headers) else {**place, **said}
    return [*headers, *((name, text.encode()) for name, text in added.items())]


def origin(headers: Sequence[Header]) -> tuple[str, int, int] | None:
    """Topic, partition and offset of the question that was asked first; None if the headers do not
    name it.
    """
    found = dict(headers)
    topic, partition, offset = (found.get(name) or b"" for name in ORIGIN)
    if not (topic and _NUMBER.fullmatch(partition) and _NUMBER.fullmatch(offset)):
        return None
    return topic.decode("utf-8", "replace"), int(partition), int(offset)
