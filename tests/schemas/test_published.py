"""The published schemas are current and valid, and agree with what the worker accepts."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import ContentMode, encode_outcome
from schemas.event import Event, Outcome
from schemas.generate import samples
from schemas.generate.files import PUBLISHED, files
from schemas.generate.header_schemas import meanings
from schemas.question import Question, ReadingOptions
from schemas.rejection import ATTEMPT, REPLAY_OF, Header, Reason, Rejected, dead_letter_headers
from schemas.text import Text
from tests.examples import examples
from tests.schemas.valid import faults, published, validator

Kind = type[Event[Outcome]]

SCHEMAS = sorted(PUBLISHED.glob("*.schema.json"))


def test_published_files_are_current() -> None:
    published = {path.name: path.read_text() for path in PUBLISHED.iterdir()}
    assert published == files(), "run: make generate"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_schemas_and_examples_are_valid(path: Path) -> None:
    examples = json.loads(path.read_text())["examples"]
    assert examples
    assert [faults(validator(path), example) for example in examples] == [[]] * len(examples)


def test_example_offsets_match_the_context() -> None:
    for span in samples.ANSWER.answers:
        assert samples.CONTEXT[span.start : span.end] == span.answer


# Values of many types. Not included is what JSON Schema cannot express: strings that are blank but
# not empty, 2.0 in the place of 2, numbers that overflow a float.
_SCALARS: Sequence[Any] = ["", "a", "é", 0, 1, -1, 101, -100, 0.5, -100.5, True, False, None]
_VALUES = st.sampled_from(_SCALARS) | st.sampled_from([[], {}, [1], {"a": 1}, [{}]])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)
_OPTIONS = st.dictionaries(
    st.sampled_from([*ReadingOptions.model_fields, "unknown"]),
    _VALUES | st.just("utf16"),
    max_size=3,
)
_PASSAGE = st.fixed_dictionaries(
    {"text": st.just("Ada.") | _VALUES},
    optional={"id": _VALUES, "score": _VALUES, "metadata": _VALUES, "unknown": _VALUES},
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": _VALUES,
        "question": _VALUES,
        "context": _VALUES,
        "contexts": st.lists(_PASSAGE, max_size=2) | _VALUES,
        # No text: most validators do not look at its format.
        "expires_at": _VALUES.filter(lambda value: not isinstance(value, str)),
        "text": _VALUES,
        "options": _OPTIONS | _VALUES,
        "metadata": st.dictionaries(st.text(), _JSON, max_size=2) | _VALUES,
        "unknown": _VALUES,
    },
)
_GOOD = {"question": "Who?", "context": "Ada.", "text": "Ada."}
_SEVERAL = {"question": "Who?", "contexts": [{"text": "Ada."}]}
_EVENTS = (
    st.builds(lambda good, fields: {**good, **fields}, st.sampled_from([_GOOD, _SEVERAL]), _FIELDS)
    | _FIELDS
)
_KINDS: st.SearchStrategy[Kind] = st.sampled_from([Question, Text])


@pytest.mark.long
@given(_KINDS, _EVENTS | _VALUES)
@examples(300)
def test_schema_and_worker_accept_the_same_events(kind: Kind, event: Any) -> None:
    try:
        kind.model_validate(event)
        taken = True
    except ValidationError:
        taken = False
    assert published(kind.__name__.lower()).is_valid(event) == taken


@pytest.mark.parametrize("mode", ContentMode)
def test_encoded_outcomes_are_valid(
    answer: Answer, embedding: Embedding, mode: ContentMode
) -> None:
    sparse = answer.model_copy(update={"source": None, "answers": [], "metadata": {}})
    for outcome in (answer, sparse, embedding):
        value, _ = encode_outcome(outcome, mode, (), source="/s")
        document = json.loads(value)
        data = document["data"] if mode is ContentMode.STRUCTURED else document
        assert faults(published(type(outcome).__name__.lower()), data) == []


def test_outcome_without_a_field_is_invalid(answer: Answer) -> None:
    document = answer.model_dump(mode="json")
    for name in document:
        less = {other: value for other, value in document.items() if other != name}
        assert faults(published("answer"), less) == [f"$: '{name}' is a required property"]


@pytest.mark.parametrize("reason", Reason)
def test_dead_letter_headers_are_valid(reason: Reason) -> None:
    own: list[Header] = [("mine", b"x"), (ATTEMPT, b"2"), (REPLAY_OF, b"qa.questions.dead-0-3")]
    rejected = Rejected(reason, "x" * 5000)
    headers = dead_letter_headers(rejected, topic="t", partition=0, offset=9, headers=own)
    named = {name: (text or b"").decode() for name, text in headers}
    assert faults(published("dead-letter-headers"), named) == []
    added = dead_letter_headers(rejected, topic="t", partition=0, offset=9)
    for name, _ in added:
        less = {other: text for other, text in named.items() if other != name}
        assert faults(published("dead-letter-headers"), less)


def test_every_reason_has_a_description() -> None:
    assert meanings()["null_value"] == "The record has no value (a tombstone)."
    assert meanings()["answer_too_large"].startswith("The outcome")
