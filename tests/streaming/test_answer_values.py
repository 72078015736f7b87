"""What is published where answers have another format than JSON. No Kafka, and no registry."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from schemas import Answer, Outcome, Reason
from schemas.generate.files import PUBLISHED
from schemas.rejection import Header
from schemas.value_format import JSON, ValueFormat
from tests.kafka.described_topics import Brokers
from tests.streaming.fakes import NO_JSON, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from worker.kafka import foreign_topics
from worker.schema_registry.encoding import avro_encoder
from worker.schema_registry.framing import frame_prefix
from worker.streaming.output_limits import OutputLimits
from worker.streaming.processor import FORMAT_COST, INLINE_BYTES, RecordProcessor

PREFIX = frame_prefix(7)
TO: Header = ("kafka_replyTopic", b"replies-1")

encode_payload = avro_encoder((PUBLISHED / "answer.avsc").read_text())


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    monkeypatch.setattr(foreign_topics, "CONFIRM_SECONDS", 0.0)
    brokers = Brokers()
    brokers.leaders = {"replies-1": [1]}
    return brokers


def processor(brokers: Brokers, value_format: ValueFormat, **environment: str) -> RecordProcessor:
    made = context(
        StubEngine(),
        FakeDelivery(),
        foreign_topics=brokers.topics,
        environment={"QA_REPLY_TOPICS": "replies-*", **environment},
    )
    return replace(made.processor, answer_format=value_format)


def question(**more: Any) -> bytes:
    return json.dumps({"question": "Who?", "context": "Ada.", **more}).encode()


AVRO = ValueFormat(lambda outcome: PREFIX + encode_payload(outcome), None)


async def test_reply_and_answer_have_the_same_bytes(brokers: Brokers) -> None:
    headers = (TO, ("__value_schema_id", b"\0\0\0\0\x09"), ("correlation-id", b"c-1"))
    asked = replace(record(7), headers=headers)
    processed = await processor(brokers, AVRO, QA_REPLY_ALSO="true").process(asked, None)
    reply, answer = processed.outputs
    assert (reply.topic, answer.topic) == ("replies-1", "qa.answers")
    assert reply.value == answer.value
    assert (reply.value or b"").startswith(PREFIX)
    # Neither the question's schema id nor a content type.
    assert dict(reply.headers) == dict(answer.headers) == {"correlation-id": b"c-1"}


async def test_error_replies_and_dead_letters_stay_as_they_are(brokers: Brokers) -> None:
    asked = replace(record(7, value=NO_JSON), headers=(TO,))
    processed = await processor(brokers, AVRO).process(asked, None)
    dead_letter, error_reply = processed.outputs
    assert dead_letter.value == NO_JSON
    assert json.loads(error_reply.value or b"")["error"]["reason"] == "not_json"
    assert dict(error_reply.headers)["content-type"] == b"application/json"


async def test_the_topics_limit_counts_the_encoded_bytes(brokers: Brokers) -> None:
    limits = OutputLimits({"qa.answers": 1_000, "qa.questions.dead": 10_000})
    asked = record(7, value=question(metadata={"fill": "x" * 500}))
    # As JSON the answer's own fields take 400 bytes more than as Avro.
    for value_format, reason in ((AVRO, None), (JSON, Reason.ANSWER_TOO_LARGE)):
        made = replace(processor(brokers, value_format), limits=limits)
        assert (await made.process(asked, None)).reason is reason


@pytest.mark.parametrize("size", [10, INLINE_BYTES // FORMAT_COST])
async def test_large_metadata_are_encoded_off_the_event_loop(brokers: Brokers, size: int) -> None:
    threads = []

    def encode(outcome: Outcome) -> bytes:
        assert isinstance(outcome, Answer)
        threads.append(threading.current_thread())
        return AVRO.encode(outcome)

    asked = record(7, value=question(metadata={"fill": "x" * size}))
    with ThreadPoolExecutor(1) as decoders:
        made = replace(processor(brokers, ValueFormat(encode, None)), decoders=decoders)
        await made.process(asked, None)
    (thread,) = threads
    assert (thread is threading.main_thread()) == (size == 10)
