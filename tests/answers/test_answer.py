"""What is read as an answer event."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.answers.events import answer_event, compared
from worker.answers.answer import ComparisonError, NotAnAnswerError, RejectionError, parse_answer

VERSIONS = Path(__file__).parent.parent / "schemas" / "versions"


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_plain_json_and_a_structured_cloudevent_are_read() -> None:
    event = answer_event(7)
    cloud = {"specversion": "1.0", "id": "q-7", "type": "qa.answer", "data": event}
    (plain, model), (structured, _) = (
        parse_answer(encoded(event), 5),
        parse_answer(encoded(cloud), 5),
    )
    assert plain == structured
    assert (plain.id, plain.source, plain.span) == ("q-7", ("qa.questions", 0, 7), (0, 0, 3))
    assert (plain.place, plain.timestamp_ms, model.name) == ("qa.questions-0-7", 5, "default")


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_answers_of_earlier_versions_are_read(version: str) -> None:
    events = json.loads((VERSIONS / version / "answer.json").read_text())
    answers = [parse_answer(encoded(event))[0] for event in events]
    assert [each.id for each in answers] == [event["id"] for event in events]
    assert [each.span is not None for each in answers] == [each["answered"] for each in events]


def test_an_answer_without_a_passage_is_from_the_first() -> None:
    event = answer_event(1)
    del event["context_index"]
    assert parse_answer(encoded(event))[0].span == compared(1).span


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "the event"),
        (b'{"question": "q", "context": "c"}', "id: Field required"),
        (encoded({**answer_event(1), "score": 2}), "score: Input should be less than or equal"),
    ],
)
def test_other_values_are_no_answers(value: bytes | None, why: str) -> None:
    with pytest.raises(NotAnAnswerError, match=why):
        parse_answer(value)


def test_a_rejected_line_is_a_rejection() -> None:
    with pytest.raises(RejectionError):
        parse_answer(b'{"id": "q-1", "line": 1, "rejected": {"reason": "schema", "detail": ""}}')


def test_embeddings_are_refused() -> None:
    with pytest.raises(ComparisonError, match="these are embeddings"):
        parse_answer(b'{"id": "t-1", "embedding": [0.5], "dims": 1}')
