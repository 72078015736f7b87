"""Kafka record to event, and outcome to Kafka record."""

import json
from dataclasses import replace

import pytest

from schemas.answer import Answer, ModelInfo, Source
from schemas.question import Question
from schemas.rejection import Header, Reason, Rejected
from worker.kafka.records import InputRecord
from worker.streaming.codec import (
    decode_record,
    encode_dead_letter,
    encode_outcome_record,
    omitted_parts,
    shrink_dead_letter,
)

RECORD = InputRecord(
    topic="qa.questions",
    partition=3,
    offset=17,
    key=b"\x00key",
    value=b'{"question": "Who?", "context": "Ada."}',
    headers=[("traceparent", b"00-1"), ("own", b"\xff"), ("empty", None)],
)
REJECTED = Rejected(Reason.SCHEMA, "question: is blank")


def answer(name: str) -> Answer:
    return Answer(
        id=name,
        answer="Ada",
        score=0.5,
        start=0,
        end=3,
        answered=True,
        answers=[],
        model=ModelInfo(name="m", sha256="0", precision="int8"),
        windows=1,
    )


def test_default_id_is_topic_partition_and_offset() -> None:
    assert decode_record(Question, RECORD, max_bytes=1_000).event.id == "qa.questions-3-17"


def test_size_limit_applies_to_the_value() -> None:
    assert RECORD.value is not None
    assert decode_record(Question, RECORD, max_bytes=len(RECORD.value))
    with pytest.raises(Rejected) as caught:
        decode_record(Question, RECORD, max_bytes=len(RECORD.value) - 1)
    assert caught.value.reason is Reason.RECORD_TOO_LARGE


def test_input_record_size_is_key_value_and_headers() -> None:
    assert RECORD.value is not None
    headers = sum(len(name) + len(text or b"") for name, text in RECORD.headers)
    assert RECORD.size == 4 + len(RECORD.value) + headers
    assert replace(RECORD, key=None, headers=[("é", b"12")]).size == len(RECORD.value) + 4
    assert replace(RECORD, key=None, value=None, headers=[]).size == 0


def test_answer_keeps_the_key_and_names_its_source() -> None:
    envelope = decode_record(Question, RECORD, max_bytes=1_000)
    output = encode_outcome_record(RECORD, envelope, answer("q"), "qa.answers")
    assert (output.topic, output.key, output.source_partition) == (
        "qa.answers",
        b"\x00key",
        3,
    )
    assert output.value is not None
    published = Answer.model_validate_json(output.value)
    assert published.source == Source(topic="qa.questions", partition=3, offset=17)
    assert published.model_copy(update={"source": None}) == answer("q")


def test_metadata_wait_as_json_and_come_back_unchanged() -> None:
    metadata = '{"n":[1e-7,-0.0,123456789012345678901234567890,null],"é\\n":{"":[[]]},"b":true}'
    value = f'{{"question": "Who?", "context": "Ada.", "metadata": {metadata}}}'.encode()
    record = replace(RECORD, value=value)
    envelope = decode_record(Question, record, max_bytes=1_000)
    assert envelope.event.metadata == {}
    published = encode_outcome_record(record, envelope, answer("q"), "qa.answers").value
    assert published is not None
    assert published.endswith(f'"metadata":{metadata}}}'.encode())


def test_answer_keeps_only_trace_headers() -> None:
    envelope = decode_record(Question, RECORD, max_bytes=1_000)
    output = encode_outcome_record(RECORD, envelope, answer("q"), "qa.answers")
    assert output.headers == [("traceparent", b"00-1"), ("content-type", b"application/json")]


def test_answer_to_a_cloudevent_names_the_worker_as_source() -> None:
    headers: list[Header] = [("ce_specversion", b"1.0"), ("ce_id", b"e-1")]
    record = replace(RECORD, headers=headers)
    envelope = decode_record(Question, record, max_bytes=1_000)
    output = encode_outcome_record(record, envelope, answer("e-1"), "qa.answers")
    named = dict(output.headers)
    assert (named["ce_id"], named["ce_source"]) == (b"e-1", b"/qa-worker/qa.questions")


def test_trace_headers_are_the_workers_and_attributes_the_events() -> None:
    headers: list[Header] = [
        ("ce_specversion", b"1.0"),
        ("ce_traceparent", b"00-event"),
        ("traceparent", b"00-sent"),
    ]
    record = replace(RECORD, headers=headers)
    envelope = decode_record(Question, record, max_bytes=1_000)
    context: list[Header] = [("traceparent", b"00-worker")]
    for given, expected in ((None, b"00-sent"), (context, b"00-worker")):
        output = encode_outcome_record(record, envelope, answer("q"), "qa.answers", context=given)
        named = dict(output.headers)
        assert (named["traceparent"], named["ce_traceparent"]) == (expected, b"00-event")


def test_structured_cloudevent_gets_a_structured_answer() -> None:
    data = {"question": "Who?", "context": "Ada."}
    event = {"specversion": "1.0", "id": "e-1", "source": "/s", "type": "t", "data": data}
    record = replace(RECORD, value=json.dumps(event).encode())
    envelope = decode_record(Question, record, max_bytes=1_000)
    value = encode_outcome_record(record, envelope, answer("e-1"), "qa.answers").value
    assert value is not None
    document = json.loads(value)
    assert (document["id"], document["data"]["source"]["offset"]) == ("e-1", 17)


@pytest.mark.parametrize("value", [b"", b"\xff\x00 no JSON", b'{ "spaces":  1 }', None])
@pytest.mark.parametrize("key", [None, b"", b"\xff"])
def test_dead_letter_keeps_the_record(key: bytes | None, value: bytes | None) -> None:
    record = replace(RECORD, key=key, value=value)
    dead_letter = encode_dead_letter(record, REJECTED, "qa.questions.dead")
    assert (dead_letter.topic, dead_letter.source_partition) == ("qa.questions.dead", 3)
    assert (dead_letter.key, dead_letter.value) == (key, value)
    assert list(dead_letter.headers[:3]) == list(record.headers)


def test_dead_letter_headers_name_reason_and_position() -> None:
    named = dict(encode_dead_letter(RECORD, REJECTED, "dead").headers)
    assert named["qa.reason"] == b"schema"
    assert named["__connect.errors.topic"] == b"qa.questions"
    assert named["__connect.errors.partition"] == b"3"
    assert named["__connect.errors.offset"] == b"17"


def test_a_dead_letter_shrinks_to_a_pointer_in_steps() -> None:
    rejected = Rejected(Reason.SCHEMA, "long " * 200)
    forms = [encode_dead_letter(RECORD, rejected, "dead")]
    while (smaller := shrink_dead_letter(RECORD, forms[-1])) is not None:
        forms.append(smaller)
    assert [omitted_parts(form) for form in forms] == [
        [],
        ["value"],
        ["value", "headers"],
        ["value", "headers", "key"],
    ]
    whole, no_value, no_headers, pointer = forms
    assert whole.value is not None
    assert list(no_value.headers) == [
        *whole.headers,
        ("qa.value.omitted", str(len(whole.value)).encode()),
    ]
    assert no_headers.key == RECORD.key
    named = dict(pointer.headers)
    assert pointer.key == b"qa.questions-3-17"
    assert (named["qa.reason"], named["__connect.errors.offset"]) == (b"schema", b"17")
    assert (named["qa.headers.omitted"], named["qa.key.omitted"]) == (b"3", b"4")
    assert len(named["__connect.errors.exception.message"] or b"") == 100
    # Whatever the record, the pointer fits the smallest limit that makes sense.
    assert pointer.size < 700


def test_a_record_without_a_key_gets_its_position_where_one_is_required() -> None:
    keyless = replace(RECORD, key=None)
    envelope = decode_record(Question, keyless, max_bytes=1_000)
    output = encode_outcome_record(keyless, envelope, answer("q"), "answers", requires_key=True)
    assert output.key == b"qa.questions-3-17"
    dead_letter = encode_dead_letter(keyless, REJECTED, "dead", requires_key=True)
    assert (dead_letter.key, omitted_parts(dead_letter)) == (b"qa.questions-3-17", ["key"])
    assert dict(dead_letter.headers)["qa.key.omitted"] == b"null"
    keyed = encode_dead_letter(RECORD, REJECTED, "dead", requires_key=True)
    assert keyed == encode_dead_letter(RECORD, REJECTED, "dead")
