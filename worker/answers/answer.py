"""An answer as a comparison needs it, and how a record's value or a line is read as one. Pure."""

from dataclasses import dataclass

import pydantic_core
from pydantic import ValidationError

from schemas.answer import Answer, ModelInfo, OffsetUnit


class ComparisonError(Exception):
    """Two sides cannot be compared. The message is one line that says what to change."""


class NotAnAnswerError(Exception):
    """The value is not an answer event. The message says why."""


class RejectionError(Exception):
    """The line is a rejection, as `qa-worker read` writes it."""


@dataclass(frozen=True, slots=True)
class ComparedAnswer:
    """What is compared of an answer; about 0.5 KB."""

    id: str
    source: tuple[str, int, int] | None
    """Topic, partition and offset of the question."""
    answer: str
    score: float
    span: tuple[int, int, int] | None
    """Index of the passage, start and end; None if the answer is that there is none."""
    offsets: OffsetUnit
    timestamp_ms: int | None
    """Of the answer's record: when the worker produced it, or the broker appended it, as the
    topic's message.timestamp.type says. Lines of a file have none."""

    @property
    def place(self) -> str:
        """The question's topic-partition-offset; empty if the answer has no source."""
        return "" if self.source is None else "-".join(map(str, self.source))


def parse_answer(
    value: bytes | None,
    timestamp_ms: int | None = None,
    asked_at: tuple[str, int, int] | None = None,
) -> tuple[ComparedAnswer, ModelInfo]:
    """The answer in a record's value or in a line, and its model. The value is plain JSON, or a
    CloudEvent in either mode. `asked_at` is where the question was asked first, in the place of the
    answer's source, if another worker sent it on as unsure.

    Raises `NotAnAnswerError`, `RejectionError`, and `ComparisonError` for an embedding.
    """
    try:
        document = pydantic_core.from_json(value or b"")
    except ValueError as error:
        raise NotAnAnswerError(f"not JSON: {error}") from None
    if isinstance(document, dict):
        if "specversion" in document and isinstance(document.get("data"), dict):
            document = document["data"]
        if "rejected" in document:
            raise RejectionError
        if "embedding" in document:
            raise ComparisonError(
                "these are embeddings, and only answers are compared; `qa-worker model verify NAME "
                "--against NAME` compares the vectors of two models"
            )
    try:
        answer = Answer.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the event"
        raise NotAnAnswerError(f"{where}: {first['msg']}") from None
    return _compared(answer, timestamp_ms, asked_at), answer.model


def _compared(
    answer: Answer, timestamp_ms: int | None, asked_at: tuple[str, int, int] | None
) -> ComparedAnswer:
    source = answer.source
    own = None if source is None else (source.topic, source.partition, source.offset)
    # Before there were passages answers had no index: their context is the first passage.
    span = answer.context_index or 0, answer.start, answer.end
    return ComparedAnswer(
        id=answer.id,
        source=asked_at or own,
        answer=answer.answer,
        score=answer.score,
        span=span if answer.answered else None,
        offsets=answer.offsets,
        timestamp_ms=timestamp_ms,
    )
