"""Which answers are unsure, and the record that goes to the topic of unsure questions. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.answer import Answer
from schemas.event import Event, Outcome
from schemas.question import Question
from schemas.unsure import unsure_headers
from worker.kafka.records import InputRecord, OutputRecord


class Verdict(StrEnum):
    """What an answer says."""

    ANSWERED = "answered"
    """The best span is the answer."""
    NO_ANSWER = "no_answer"
    """The model prefers no answer to the best span."""
    UNSURE = "unsure"
    """The score of the best span, which may be the empty one, is below min_score."""


@dataclass(frozen=True, slots=True)
class UnsureQuestions:
    """What happens to questions whose answers are unsure."""

    min_score: float = 0.0
    """QA_MIN_SCORE, for questions that do not say."""
    topic: str | None = None
    """QA_UNSURE_TOPIC. None: their answers go to the answers topic, as all answers."""

    def verdict(self, event: Event[Outcome], outcome: Outcome) -> Verdict | None:
        """None for outcomes other than answers."""
        if not (isinstance(event, Question) and isinstance(outcome, Answer)):
            return None
        asked = event.options.min_score
        if outcome.score < (self.min_score if asked is None else asked):
            return Verdict.UNSURE
        return Verdict.ANSWERED if outcome.answered else Verdict.NO_ANSWER


def encode_unsure_question(
    record: InputRecord, answer: Answer, topic: str, *, requires_key: bool = False
) -> OutputRecord:
    """The question's record, unchanged, with the answer in added headers. If the topic requires a
    key and the record has none, the key is its topic-partition-offset.
    """
    headers = unsure_headers(
        answer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        headers=record.headers,
    )
    key = record.default_id.encode() if record.key is None and requires_key else record.key
    return OutputRecord(topic, key, record.value, headers, record.partition)
