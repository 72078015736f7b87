"""The question event: strict types, bounds of options, unknown fields, metadata."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason
from tests.examples import examples
from tests.schemas.conftest import event, opened, verdict


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("question", 5),
        ("question", None),
        ("question", ["Who?"]),
        ("question", ...),
        ("context", 5),
        ("context", None),
        ("context", ...),
        ("id", 17),
        ("id", True),
        ("options", []),
        ("options", None),
        ("metadata", "text"),
        ("metadata", None),
        ("metadata", []),
    ],
)
def test_wrong_type_is_rejected(field: str, value: Any) -> None:
    rejected = verdict(event(**{field: value}))
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith(f"{field}: ")


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u00a0\u2003"])
def test_blank_question_is_rejected(blank: str) -> None:
    assert verdict(event(question=blank)).detail == "question: is blank"


def test_empty_context_is_rejected() -> None:
    assert verdict(event(context="")).detail.startswith("context: ")


def test_blank_context_is_accepted() -> None:
    assert opened(event(context="  ")).event.context == "  "


def test_empty_id_is_rejected() -> None:
    assert verdict(event(id="")).detail.startswith("id: ")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("top_k", 0),
        ("top_k", "3"),
        ("top_k", 3.0),
        ("top_k", True),
        ("max_answer_tokens", 0),
        ("doc_stride", -1),
        ("no_answer", 1),
        ("no_answer", "yes"),
        ("align_to_words", 0),
    ],
)
def test_option_out_of_bounds_is_rejected(option: str, value: Any) -> None:
    rejected = verdict(event(options={option: value}))
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith(f"options.{option}: ")


def test_omitted_options_are_none() -> None:
    asked = opened(event(options={"doc_stride": 0, "no_answer": False})).event.options
    assert asked == ReadingOptions(doc_stride=0, no_answer=False)
    assert (asked.top_k, asked.max_answer_tokens, asked.align_to_words) == (None, None, None)


def test_unknown_fields_are_ignored() -> None:
    document = event(tenant="t", options={"top_k": 2, "beam": 5})
    assert opened(document).event.options == ReadingOptions(top_k=2)


def test_first_error_is_reported_and_the_rest_counted() -> None:
    detail = verdict({"question": 1, "context": 2, "id": 3}).detail
    assert detail.startswith("id: ")
    assert detail.endswith("(and 2 more)")
    assert "\n" not in detail


def test_rejection_does_not_quote_the_input() -> None:
    assert "secret" not in verdict(event(question=["secret"])).detail


def test_question_is_frozen() -> None:
    question = Question(question="Who?", context="Ada.")
    with pytest.raises(ValidationError):
        question.context = "Bob."  # type: ignore[misc]


def test_with_default_id_keeps_an_id() -> None:
    assert Question(id="own", question="Who?", context="Ada.").with_default_id("given").id == "own"
    assert Question(question="Who?", context="Ada.").with_default_id("given").id == "given"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**20, max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.long
@given(st.dictionaries(st.text(), JSON, max_size=4))
@examples(100)
def test_metadata_is_any_json(metadata: dict[str, Any]) -> None:
    read = opened(event(metadata=metadata)).event.metadata
    # Compared as text, because 1 == 1.0 == True.
    assert json.dumps(read) == json.dumps(metadata)


@pytest.mark.parametrize(
    "number", [b"1e999", b"-1e999", b"[[1e999]]", b'{"a": {"b": [0, -1e400]}}']
)
def test_number_that_parses_as_infinity_is_rejected(number: bytes) -> None:
    rejected = verdict(b'{"question": "q", "context": "c", "metadata": {"n": %s}}' % number)
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "metadata.n: holds a number out of range"
