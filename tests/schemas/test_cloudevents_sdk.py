"""Interoperability with the official CloudEvents SDK, in both directions."""

from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_binary_event,
    from_kafka_event,
    from_structured_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldCloudEvent
from cloudevents.v1.kafka import to_binary as old_to_binary
from cloudevents.v1.kafka import to_structured as old_to_structured

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.envelope import ContentMode, Envelope, decode_event, encode_outcome
from schemas.question import Question
from schemas.rejection import Header
from tests.schemas.conftest import MAX_BYTES, event

SOURCE = "/qa-worker/qa.questions"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

WRITE = {ContentMode.STRUCTURED: to_structured_event, ContentMode.BINARY: to_binary_event}
READ = {ContentMode.STRUCTURED: from_structured_event, ContentMode.BINARY: from_binary_event}
MODES = pytest.mark.parametrize("mode", list(WRITE))


def read(message: Any) -> Envelope[Question]:
    """Decodes a message that the SDK encoded."""
    headers = list(message.headers.items())
    return decode_event(
        Question, message.value, headers, default_id="topic-0-7", max_bytes=MAX_BYTES
    )


def message(value: bytes, headers: list[Header], key: str | None = None) -> KafkaMessage:
    """An outcome, as a message for the SDK."""
    return KafkaMessage({name: text or b"" for name, text in headers}, key, value)


def asked(data: Any, **extensions: str) -> CloudEvent:
    return CloudEvent({"id": "e-1", "source": "/wiki", "type": "qa.question", **extensions}, data)


@MODES
def test_question_written_by_the_sdk_is_decoded(mode: ContentMode) -> None:
    envelope = read(WRITE[mode](asked(event(id=..., metadata={"é": 1}), subject="bridges")))
    assert envelope.mode is mode
    assert envelope.event == Question.model_validate(event(id="e-1", metadata={"é": 1}))
    assert envelope.ignored == ()


def test_base64_question_written_by_the_sdk_is_decoded() -> None:
    data = b'{"question": "Who?", "context": "Ada."}'
    assert read(to_structured_event(asked(data))).event.id == "e-1"


@pytest.mark.parametrize(
    ("write", "mode"),
    [(old_to_structured, ContentMode.STRUCTURED), (old_to_binary, ContentMode.BINARY)],
)
def test_question_written_by_sdk_1_is_decoded(
    write: Callable[[OldCloudEvent], Any], mode: ContentMode
) -> None:
    # SDK 1 sends structured messages with the content type of their data.
    attributes = {
        "id": "e-1",
        "source": "/wiki",
        "type": "qa.question",
        "datacontenttype": "application/json",
        "traceparent": TRACE,
    }
    envelope = read(write(OldCloudEvent(attributes, event(id=...))))
    assert (envelope.mode, envelope.event.id) == (mode, "e-1")
    assert envelope.extensions == {"traceparent": TRACE}


@MODES
def test_sdk_decodes_an_answer(answer: Answer, mode: ContentMode) -> None:
    named = answer.model_copy(update={"id": "é-1"})
    value, headers = encode_outcome(
        named, mode, [("traceparent", b"00"), ("x-request-id", b"r")], source=SOURCE
    )
    for way in (READ[mode], from_kafka_event):
        parsed = way(message(value, headers, key="k"))
        assert (parsed.get_id(), parsed.get_source()) == ("é-1", SOURCE)
        assert (parsed.get_type(), parsed.get_specversion()) == ("qa.answer", "1.0")
        assert parsed.get_datacontenttype() == "application/json"
        assert parsed.get_data() == named.model_dump(mode="json")
        assert parsed.get_extension("partitionkey") == "k"


@MODES
def test_sdk_decodes_an_embedding(embedding: Embedding, mode: ContentMode) -> None:
    value, headers = encode_outcome(embedding, mode, (), source=SOURCE)
    parsed = from_kafka_event(message(value, headers))
    assert (parsed.get_id(), parsed.get_type()) == ("t-1", "qa.embedding")
    assert parsed.get_data() == embedding.model_dump(mode="json")


@MODES
def test_extensions_are_propagated_to_the_answer(answer: Answer, mode: ContentMode) -> None:
    extensions = {"traceparent": TRACE, "tracestate": "a=1", "correlationid": "c-1"}
    question = WRITE[mode](asked(event(), **extensions, comexampleown="stays"))
    envelope = read(question)
    value, headers = encode_outcome(
        answer,
        mode,
        list(question.headers.items()),
        source=SOURCE,
        extensions=envelope.extensions,
    )
    parsed = from_kafka_event(message(value, headers))
    assert {name: parsed.get_extension(name) for name in extensions} == extensions
    assert parsed.get_extension("comexampleown") is None
    assert parsed.get_id() == answer.id
