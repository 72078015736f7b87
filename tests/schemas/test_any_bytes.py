"""For any record value, `decode_event` returns an event or raises `Rejected`, nothing else."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Envelope, decode_event
from schemas.event import Event, Outcome
from schemas.question import Question
from schemas.rejection import Header, Reason, Rejected
from schemas.text import Text
from tests.examples import examples
from tests.schemas.conftest import event

Kind = type[Event[Outcome]]

HEADER_NAMES = [
    *("content-type", "Content-Type", "ce_specversion", "ce_id"),
    *("qa.expires-at", "ce_expirytime"),
]
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(HEADER_NAMES) | st.text(),
        st.none()
        | st.binary(max_size=20)
        | st.sampled_from([b"1.0", b"application/cloudevents+json", b"application/json"]),
    ),
    max_size=4,
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1.0", "YQ==", "e30="])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
NESTING = ["input_data", "data", "data_base64"]
KINDS: st.SearchStrategy[Kind] = st.sampled_from([Question, Text])
FIELDS = [
    "question",
    "context",
    "contexts",
    "text",
    "id",
    "options",
    "metadata",
    "specversion",
    "expires_at",
    "expirytime",
    *NESTING,
]


def open_or_reject(
    kind: Kind, value: bytes, headers: Sequence[Header]
) -> Envelope[Event[Outcome]] | Reason:
    try:
        return decode_event(kind, value, headers, default_id="d", max_bytes=10_000)
    except Rejected as rejected:
        rejected.detail.encode()  # it goes into a header
        return rejected.reason


@pytest.mark.long
@given(KINDS, st.binary(max_size=200), HEADERS)
@examples(100)
def test_any_bytes_are_decoded_or_rejected(kind: Kind, value: bytes, headers: list[Header]) -> None:
    open_or_reject(kind, value, headers)


@pytest.mark.long
@given(
    KINDS,
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5),
    st.sampled_from(NESTING) | st.none(),
    HEADERS,
)
@examples(200)
def test_any_field_values_are_decoded_or_rejected(
    kind: Kind, changes: dict[str, Any], nested: str | None, headers: list[Header]
) -> None:
    document = {**event(text="Ada wrote it."), **changes}
    if nested is not None:
        document = {"specversion": "1.0", "id": "e", nested: document}
    result = open_or_reject(kind, json.dumps(document).encode(), headers)
    if isinstance(result, Envelope):
        assert result.event.id
        # Decoded metadata can be encoded again: an outcome has a copy of it.
        result.event.model_dump_json()


def fields(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), VALUES, max_size=3)


TEXTS = st.text(max_size=10).map(lambda text: {"text": text})
PASSAGES = st.builds(
    lambda passage, changes: {**passage, **changes},
    TEXTS,
    fields("id", "text", "score", "metadata", "rank"),
)
OPTIONS = fields("per_context", "overlap", "retriever_weight", "top_k", "offsets", "min_score")


@pytest.mark.long
@given(st.lists(PASSAGES | TEXTS | VALUES, max_size=4) | VALUES, OPTIONS | VALUES)
@examples(200)
def test_any_passages_and_options_are_decoded_or_rejected(contexts: Any, options: Any) -> None:
    document = {**event(contexts=contexts, options=options), "context": None}
    result = open_or_reject(Question, json.dumps(document).encode(), ())
    if isinstance(result, Envelope):
        packed = result.packed()
        assert isinstance(packed.event, Question)
        assert [each.text for each in packed.event.passages] == [each["text"] for each in contexts]
        assert not any(each.metadata for each in packed.event.passages)


@given(st.data())
@examples(100)
def test_corrupted_events_are_decoded_or_rejected(data: st.DataObject) -> None:
    value = bytearray(json.dumps(event(text="é", metadata={"n": [1, 2.5, None]})).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        value[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    open_or_reject(data.draw(KINDS), bytes(value), data.draw(HEADERS))
