"""Outcomes in each content mode: value, headers and CloudEvents attributes."""

import json
from typing import Any

import pytest

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import PROPAGATED_HEADERS, ContentMode, encode_outcome
from schemas.rejection import Header

SOURCE = "/qa-worker/qa.questions"


def data_of(value: bytes, mode: ContentMode) -> Any:
    document = json.loads(value)
    return document["data"] if mode is ContentMode.STRUCTURED else document


@pytest.mark.parametrize("mode", ContentMode)
def test_answer_round_trips_in_each_mode(answer: Answer, mode: ContentMode) -> None:
    value, _ = encode_outcome(answer, mode, (), source=SOURCE)
    assert Answer.model_validate(data_of(value, mode)) == answer


@pytest.mark.parametrize("mode", ContentMode)
def test_embedding_round_trips_in_each_mode(embedding: Embedding, mode: ContentMode) -> None:
    value, _ = encode_outcome(embedding, mode, (), source=SOURCE)
    assert Embedding.model_validate(data_of(value, mode)) == embedding


def test_embedding_has_its_own_cloudevents_type(embedding: Embedding) -> None:
    value, _ = encode_outcome(embedding, ContentMode.STRUCTURED, (), source=SOURCE)
    _, headers = encode_outcome(embedding, ContentMode.BINARY, (), source=SOURCE)
    assert json.loads(value)["type"] == "qa.embedding"
    assert dict(headers)["ce_type"] == b"qa.embedding"


def test_embedding_digits_are_not_rounded(embedding: Embedding) -> None:
    value, _ = encode_outcome(embedding, ContentMode.PLAIN, (), source=SOURCE)
    assert b'"embedding":[0.1,-2.5e-8,0.0,12345679.0]' in value


@pytest.mark.parametrize("mode", ContentMode)
def test_metadata_is_unchanged(answer: Answer, mode: ContentMode) -> None:
    metadata = {
        "big": 10**30,
        "float": 1e22,
        "text": '"\\ \u2028 é 😀',
        "none": None,
        "a": [[], {}],
    }
    value, _ = encode_outcome(
        answer.model_copy(update={"metadata": metadata}), mode, (), source=SOURCE
    )
    assert json.dumps(data_of(value, mode)["metadata"]) == json.dumps(metadata)


def test_plain_answer_has_a_json_content_type(answer: Answer) -> None:
    _, headers = encode_outcome(answer, ContentMode.PLAIN, (), source=SOURCE)
    assert headers == [("content-type", b"application/json")]


def test_structured_answer_is_a_cloudevent(answer: Answer) -> None:
    value, headers = encode_outcome(answer, ContentMode.STRUCTURED, (), source=SOURCE)
    document = json.loads(value)
    del document["data"]
    assert document == {
        "specversion": "1.0",
        "id": "q-1",
        "source": SOURCE,
        "type": Answer.TYPE,
        "datacontenttype": "application/json",
    }
    assert headers == [("content-type", b"application/cloudevents+json")]


def test_binary_answer_is_a_cloudevent(answer: Answer) -> None:
    named = answer.model_copy(update={"id": "é"})
    _, headers = encode_outcome(named, ContentMode.BINARY, (), source=SOURCE)
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": "é".encode(),
        "ce_source": SOURCE.encode(),
        "ce_type": Answer.TYPE.encode(),
        "content-type": b"application/json",
    }


@pytest.mark.parametrize("mode", ContentMode)
def test_only_trace_and_correlation_headers_are_propagated(
    answer: Answer, mode: ContentMode
) -> None:
    carried: list[Header] = [
        ("traceparent", b"00-1"),
        ("X-Request-Id", b"r"),
        ("Correlation_ID", None),
        ("tracestate", b"a"),
        ("tracestate", b"b"),
    ]
    own: list[Header] = [("content-type", b"text/x"), ("ce_id", b"e"), ("secret", b"s")]
    _, headers = encode_outcome(answer, mode, [own[0], *carried, *own[1:]], source=SOURCE)
    assert headers[: len(carried)] == carried
    assert all(header not in headers for header in own)
    assert sum(name.lower() == "content-type" for name, _ in headers) == 1


def test_every_propagated_header_is_propagated(answer: Answer) -> None:
    headers: list[Header] = [(name, b"1") for name in sorted(PROPAGATED_HEADERS)]
    _, sealed = encode_outcome(answer, ContentMode.PLAIN, headers, source=SOURCE)
    assert sealed[:-1] == headers


@pytest.mark.parametrize("mode", ContentMode)
def test_same_answer_gives_same_bytes(answer: Answer, mode: ContentMode) -> None:
    again = Answer.model_validate_json(answer.model_dump_json())
    assert encode_outcome(answer, mode, (), source=SOURCE) == encode_outcome(
        again, mode, (), source=SOURCE
    )
