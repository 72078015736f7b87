"""Compatibility with older versions of the contracts. `versions/` has what each version published,
encoded and decoded.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from schemas import VERSION
from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.event import NonBlankStr
from schemas.generate import samples
from schemas.generate.files import PUBLISHED
from schemas.generate.json_schemas import dead_letter_example
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from schemas.reply import ErrorReply
from schemas.text import Text
from tests.schemas.record import EVENTS, OUTCOMES, VERSIONS, read
from tests.schemas.valid import faults, published, validator

ON_RECORD = sorted(VERSIONS.iterdir())

each_version = pytest.mark.parametrize("version", ON_RECORD, ids=lambda path: path.name)


def held(version: Path, name: str) -> Any:
    return json.loads((version / f"{name}.json").read_text())


def schemas(version: Path, kinds: Mapping[str, Any]) -> dict[str, Draft202012Validator]:
    """The recorded documents of these kinds."""
    paths = {kind: version / f"{kind}.schema.json" for kind in kinds}
    return {kind: validator(path) for kind, path in paths.items() if path.exists()}


def read_otherwise(version: Path, kinds: Mapping[str, type[Question | Text]]) -> Iterator[str]:
    """Names of recorded events that decode differently today."""
    for event in held(version, "events"):
        try:
            now = read(kinds[event["kind"]], event)
        except Rejected as rejected:
            yield f"{event['name']}: {rejected}"
        else:
            yield from (f"{event['name']}: {path}" for path in _lost(event["read"], now))


def _lost(then: Any, now: Any, path: str = "$") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            yield from _lost(value, now.get(name, ...), f"{path}.{name}")
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (before, after) in enumerate(zip(then, now, strict=True)):
            yield from _lost(before, after, f"{path}[{number}]")
    elif then != now:
        yield f"{path} was {then!r}, is {now!r}"


def test_current_version_is_recorded_and_the_latest() -> None:
    numbers = [tuple(map(int, version.name.split("."))) for version in ON_RECORD]
    major, minor = map(int, VERSION.split("."))
    assert [number for number in numbers if number[0] == major] == [
        (major, each) for each in range(minor + 1)
    ], "python -m tests.schemas.record"


@pytest.mark.parametrize("kind", [*EVENTS, *OUTCOMES])
def test_an_addition_needs_a_new_version(kind: str) -> None:
    recorded = json.loads((VERSIONS / VERSION / f"{kind}.schema.json").read_text())
    now = json.loads((PUBLISHED / f"{kind}.schema.json").read_text())
    assert _structure(now) == _structure(recorded), (
        "raise schemas.VERSION, then: make generate, python -m tests.schemas.record"
    )


def _structure(schema: Any) -> Any:
    """A schema without descriptions, examples and ids."""
    if isinstance(schema, dict):
        said = ("description", "examples", "title", "$schema", "$id")
        return {name: _structure(each) for name, each in schema.items() if name not in said}
    return [_structure(each) for each in schema] if isinstance(schema, list) else schema


@each_version
def test_recorded_events_decode_as_before(version: Path) -> None:
    assert list(read_otherwise(version, EVENTS)) == []


@each_version
def test_recorded_events_are_valid_in_the_current_schema(version: Path) -> None:
    events = held(version, "events")
    for kind, then in schemas(version, EVENTS).items():
        sent = [event["value"] for event in events if event["kind"] == kind]
        valid = [value for value in sent if then.is_valid(value)]
        assert len(valid) >= 4
        assert [faults(published(kind), value) for value in valid] == [[]] * len(valid)


@each_version
def test_current_outcomes_are_valid_in_recorded_schemas(
    version: Path, answer: Answer, embedding: Embedding
) -> None:
    outcomes: dict[str, list[Answer] | list[Embedding] | list[ErrorReply]] = {
        "answer": [answer, samples.ANSWER],
        "embedding": [embedding, samples.EMBEDDING],
        "error-reply": [samples.ERROR_REPLY],
    }
    taken = schemas(version, OUTCOMES)
    assert "answer" in taken
    for kind, schema in taken.items():
        for outcome in outcomes[kind]:
            without = {} if isinstance(outcome, ErrorReply) else {"source": None}
            for today in (outcome, outcome.model_copy(update=without)):
                assert faults(schema, today.model_dump(mode="json")) == []


@each_version
def test_recorded_outcome_schemas_still_hold(version: Path) -> None:
    for kind, then in schemas(version, OUTCOMES).items():
        assert list(_given_up(_structure(then.schema), _structure(published(kind).schema))) == []


def _given_up(then: Any, now: Any, path: str = "$") -> Iterator[str]:
    """Paths at which the new schema lacks a constraint of the old one."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            yield from _given_up(value, now.get(name, ...), f"{path}.{name}")
    elif path.endswith(".required") and isinstance(now, list):
        yield from (f"{path}: {name}" for name in then if name not in now)
    elif then != now:
        yield f"{path} was {then!r}, is {now!r}"


@each_version
def test_recorded_outcomes_are_decoded(version: Path) -> None:
    for kind, schema in schemas(version, OUTCOMES).items():
        for document in held(version, kind):
            today = OUTCOMES[kind].model_validate(document).model_dump(mode="json")
            assert list(_lost(document, today)) == []
            assert faults(schema, document) == []


@each_version
def test_recorded_headers_and_reasons_still_exist(version: Path) -> None:
    then = held(version, "dead-letter-headers")
    assert set(then["headers"]) <= set(dead_letter_example())
    assert set(then["reasons"]) <= {str(reason) for reason in Reason}


class MoreIsNeeded(Question):
    """Breaking: a new required field."""

    language: NonBlankStr


class NarrowerType(Question):
    """Breaking: a larger minimum length."""

    context: str = Field(min_length=100)


class OtherName(Question):
    """Breaking without an error: a renamed field becomes an unknown field."""

    metadata: dict[str, Any] = Field(default_factory=dict, alias="meta")


@each_version
@pytest.mark.parametrize("breaking", [MoreIsNeeded, NarrowerType, OtherName])
def test_a_breaking_event_change_is_detected(version: Path, breaking: type[Question]) -> None:
    assert list(read_otherwise(version, {**EVENTS, "question": breaking}))


@each_version
def test_a_breaking_answer_change_is_detected(version: Path, answer: Answer) -> None:
    schema, document = schemas(version, OUTCOMES)["answer"], answer.model_dump(mode="json")
    wrong = faults(schema, {**document, "score": "0.75"})
    assert wrong == ["$.score: '0.75' is not of type 'number'"]
    del document["windows"]
    assert faults(schema, document) == ["$: 'windows' is a required property"]
