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


@pytest.mark.parametrize(
    ("contexts", "detail"),
    [
        ([], "contexts: List should have at least 1 item"),
        ({}, "contexts: Input should be a valid list"),
        ("Ada.", "contexts: Input should be a valid list"),
        (["Ada."], "contexts.0: should be a JSON object"),
        ([{}], "contexts.0.text: Field required"),
        ([{"text": "Ada."}, {"text": " "}], "contexts.1.text: is blank"),
        ([{"text": ""}], "contexts.0.text: is blank"),
        ([{"text": "Ada.", "id": ""}], "contexts.0.id: "),
        ([{"text": "Ada.", "id": 7}], "contexts.0.id: "),
        ([{"text": "Ada.", "id": "p" * 1001}], "contexts.0.id: "),
        ([{"text": "Ada.", "score": 1.01}], "contexts.0.score: "),
        ([{"text": "Ada.", "score": -0.1}], "contexts.0.score: "),
        ([{"text": "Ada.", "score": "0.5"}], "contexts.0.score: "),
        ([{"text": "Ada.", "metadata": None}], "contexts.0.metadata: "),
    ],
    ids=str,
)
def test_wrong_passages_are_rejected(contexts: Any, detail: str) -> None:
    rejected = verdict(event(context=..., contexts=contexts))
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail.startswith(detail)


@pytest.mark.parametrize("passage", [{"text": "a"}, {}, 0])
def test_passages_beyond_the_formats_limit_are_not_decoded(passage: Any) -> None:
    assert len(opened(event(context=..., contexts=[{"text": "a"}] * 1000)).event.passages) == 1000
    rejected = verdict(event(context=..., contexts=[passage] * 1001))
    assert rejected.reason is Reason.CONTEXT_TOO_LONG
    assert rejected.detail.startswith("contexts: List should have at most 1000 items")
    # Each error would take memory: none of the passages was validated.
    assert "more" not in rejected.detail


def test_a_question_has_one_form_of_context() -> None:
    passages = [{"text": "Ada."}]
    assert verdict(event(contexts=passages)).detail.startswith("contexts: is not allowed beside")
    assert verdict(event(contexts=[])).reason is Reason.SCHEMA
    for neither in (event(context=...), event(context=None, contexts=None)):
        assert verdict(neither).detail.startswith("context: is missing, and so is contexts")
    assert opened(event(contexts=None)).event.passages[0].text == "Ada wrote it."
    (passage,) = opened(event(context=None, contexts=passages)).event.passages
    assert (passage.text, passage.id, passage.score) == ("Ada.", None, None)


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
        ("per_context", 0),
        ("per_context", 1.0),
        ("overlap", -0.1),
        ("overlap", 1.5),
        ("overlap", "0.5"),
        ("retriever_weight", -1),
        ("retriever_weight", 101),
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
