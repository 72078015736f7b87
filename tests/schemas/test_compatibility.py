"""Who speaks an older version of the contracts goes on as they are: `older/` holds what its code
published, wrote and read.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from schemas import VERSION
from schemas.answer import Answer
from schemas.envelope import open_envelope
from schemas.event import Words
from schemas.question import Question
from schemas.rejection import Reason, Rejected, dead_letter_headers
from tests.schemas import samples
from tests.schemas.valid import faults, published, validator

OLDER = sorted(Path(__file__).with_name("older").iterdir())

pytestmark = pytest.mark.parametrize("older", OLDER, ids=lambda path: path.name)


def held(older: Path, name: str) -> Any:
    return json.loads((older / name).read_text())


def read_otherwise(kind: type[Question], older: Path) -> Iterator[str]:
    """Events of the older version that are not read as they were then."""
    for event in held(older, "events.json"):
        headers = [(name, text.encode()) for name, text in event["headers"].items()]
        value = json.dumps(event["value"]).encode()
        try:
            envelope = open_envelope(
                kind, value, headers, default_id="topic-0-7", max_bytes=len(value)
            )
        except Rejected as rejected:
            yield f"{event['name']}: {rejected}"
            continue
        read = {"mode": envelope.mode.value, **envelope.event.model_dump(mode="json")}
        yield from (f"{event['name']}: {path}" for path in _lost(event["read"], read))


def _lost(then: Any, now: Any, path: str = "$") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            yield from _lost(value, now.get(name, ...), f"{path}.{name}")
    elif then != now:
        yield f"{path} was {then!r}, is {now!r}"


def test_it_is_older(older: Path) -> None:
    major, minor = map(int, older.name.split("."))
    now_major, now_minor = map(int, VERSION.split("."))
    assert (major, minor) < (now_major, now_minor)


def test_its_events_are_read_as_they_were(older: Path) -> None:
    assert list(read_otherwise(Question, older)) == []


def test_its_producers_events_are_valid_still(older: Path) -> None:
    then, now = validator(older / "question.schema.json"), published("question")
    plain = [event["value"] for event in held(older, "events.json") if not event["headers"]]
    valid = [event for event in plain if then.is_valid(event)]
    assert len(valid) >= 4
    assert [faults(now, event) for event in valid] == [[]] * len(valid)


def test_its_consumers_take_todays_answers(older: Path, answer: Answer) -> None:
    schema = validator(older / "answer.schema.json")
    for outcome in (answer, samples.ANSWER, answer.model_copy(update={"source": None})):
        assert faults(schema, outcome.model_dump(mode="json")) == []


def test_its_answers_are_read(older: Path) -> None:
    answers = held(older, "answers.json")
    for document in answers:
        read = Answer.model_validate(document).model_dump(mode="json")
        assert list(_lost(document, read)) == []
        assert faults(validator(older / "answer.schema.json"), document) == []
    assert answers


def test_its_dead_letters_headers_and_reasons_are_there(older: Path) -> None:
    then = held(older, "dead-letter-headers.json")
    rejected = Rejected(Reason.SCHEMA, "x")
    names = [name for name, _ in dead_letter_headers(rejected, topic="t", partition=0, offset=0)]
    assert set(then["headers"]) <= set(names)
    assert set(then["reasons"]) <= {str(reason) for reason in Reason}


class MoreIsNeeded(Question):
    """Breaks: a field that producers do not send."""

    language: Words


class NarrowerType(Question):
    """Breaks: contexts that were long enough are not."""

    context: str = Field(min_length=100)


class OtherName(Question):
    """Breaks in silence: what producers send as metadata is an unknown field."""

    metadata: dict[str, Any] = Field(default_factory=dict, alias="meta")


@pytest.mark.parametrize("breaking", [MoreIsNeeded, NarrowerType, OtherName])
def test_a_break_is_noticed_by_what_reads_events(older: Path, breaking: type[Question]) -> None:
    assert list(read_otherwise(breaking, older))


def test_a_break_is_noticed_by_what_reads_answers(older: Path, answer: Answer) -> None:
    schema, document = validator(older / "answer.schema.json"), answer.model_dump(mode="json")
    assert faults(schema, {**document, "score": "0.75"}) == [
        "$.score: '0.75' is not of type 'number'"
    ]
    del document["windows"]
    assert faults(schema, document) == ["$: 'windows' is a required property"]
