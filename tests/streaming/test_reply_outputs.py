"""What is published for a question that asks for a reply. No Kafka: the brokers only describe
topics. `test_replies.py` beside this file has the same on a broker.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from schemas.rejection import Header, Reason, Rejected
from tests.kafka.described_topics import Brokers
from tests.streaming.fakes import NO_JSON, FakeDelivery, context, record
from tests.streaming.stub_engine import StubEngine
from worker.kafka import foreign_topics
from worker.kafka.broker_client import BrokerClient
from worker.kafka.cluster_support import ClusterSupport
from worker.kafka.records import InputRecord, OutputRecord
from worker.kafka.refusals import Refusal
from worker.kafka.throttle import ignore_throttled
from worker.observability.record_trace import TraceDispatcher
from worker.settings.environment import load
from worker.streaming.delivery.base import ProcessedRecord
from worker.streaming.delivery.factory import create_delivery
from worker.streaming.processor import RecordProcessor

TO: Header = ("kafka_replyTopic", b"replies-1")
CORRELATION: Header = ("kafka_correlationId", b"\0\1\xff")
LARGE = json.dumps(
    {"question": "Who?", "context": "Ada.", "metadata": {"fill": "x" * 2_000}}
).encode()


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    monkeypatch.setattr(foreign_topics, "CONFIRM_SECONDS", 0.0)
    brokers = Brokers()
    brokers.leaders = {"replies-1": [1, 1], "qa.answers": [1], "other": [1]}
    return brokers


def processor(brokers: Brokers, **environment: str) -> RecordProcessor:
    made = context(
        StubEngine(),
        FakeDelivery(),
        foreign_topics=brokers.topics,
        environment={"QA_REPLY_TOPICS": "replies-*", **environment},
    )
    return made.processor


def question(*headers: Header, value: bytes | None = None, **more: Any) -> InputRecord:
    return replace(record(7, value=value, **more), headers=headers)


def targets(processed: ProcessedRecord) -> list[str]:
    return [output.topic for output in processed.outputs]


def refusal(topic: str, **more: Any) -> Refusal:
    return Refusal(topic, "ERROR", "why", **{"too_large": False, **more})


def reply_of(processed: ProcessedRecord) -> tuple[OutputRecord, Any]:
    (output,) = (each for each in processed.outputs if each.topic == "replies-1")
    assert output.value is not None
    return output, json.loads(output.value)


@pytest.mark.parametrize(
    ("also", "topics"), [("false", ["replies-1"]), ("true", ["replies-1", "qa.answers"])]
)
async def test_the_answer_goes_to_the_reply_topic(
    brokers: Brokers, also: str, topics: list[str]
) -> None:
    partition: Header = ("kafka_replyPartition", b"\0\0\0\1")
    asked = question(TO, partition, CORRELATION, ("own", b"1"))
    processed = await processor(brokers, QA_REPLY_ALSO=also).process(asked, None)
    assert (targets(processed), processed.reason) == (topics, None)
    output, answer = reply_of(processed)
    assert (answer["id"], answer["answered"]) == ("qa.questions-0-7", True)
    assert (output.partition, output.foreign) == (1, True)
    assert output.headers == [CORRELATION, ("content-type", b"application/json")]
    beside = processed.outputs[1:]
    assert [(each.value, each.partition, each.foreign) for each in beside] == [
        (output.value, None, False) for _ in beside
    ]
    assert processed.reply_outcome == "answer"


async def test_without_the_setting_the_headers_change_nothing(brokers: Brokers) -> None:
    ignoring = processor(brokers, QA_REPLY_TOPICS="")
    plain = await ignoring.process(question(CORRELATION), None)
    asked = await ignoring.process(question(TO, ("reply_to", b"\xff"), CORRELATION), None)
    assert asked == plain
    assert (targets(asked), asked.reply_outcome, brokers.asked) == (["qa.answers"], None, [])


async def test_a_rejected_question_gets_a_dead_letter_and_an_error_reply(brokers: Brokers) -> None:
    value = json.dumps({"id": "q-1", "question": " ", "context": "Ada."}).encode()
    asked = question(TO, CORRELATION, value=value)
    processed = await processor(brokers, QA_REPLY_ALSO="true").process(asked, None)
    assert (targets(processed), processed.reason) == (
        ["qa.questions.dead", "replies-1"],
        Reason.SCHEMA,
    )
    output, reply = reply_of(processed)
    # The event was not decoded, so its id is not known.
    assert reply["id"] == "qa.questions-0-7"
    assert reply["error"] == {"reason": "schema", "detail": "question: is blank"}
    assert (CORRELATION in output.headers, output.foreign) == (True, True)
    assert list(processed.outputs[0].headers)[:2] == [TO, CORRELATION]
    assert processed.reply_outcome == "error"


@pytest.mark.parametrize(
    ("headers", "reason", "outcome"),
    [
        ([("reply_to", b"other")], Reason.REPLY_NOT_ALLOWED, "not_allowed"),
        ([("reply_to", b"qa.questions")], Reason.REPLY_NOT_ALLOWED, "not_allowed"),
        ([("reply_to", b"replies-2")], Reason.REPLY_UNKNOWN, "unknown"),
        ([TO, ("kafka_replyPartition", b"\0\0\0\2")], Reason.REPLY_UNKNOWN, "unknown"),
        ([TO, ("kafka_replyPartition", b"2")], Reason.REPLY_UNKNOWN, "unknown"),
    ],
)
async def test_a_topic_that_cannot_be_answered_to_leads_to_a_dead_letter(
    brokers: Brokers, headers: list[Header], reason: Reason, outcome: str
) -> None:
    answering = processor(brokers, QA_REPLY_TOPICS="replies-*,qa.*")
    processed = await answering.process(question(*headers), None)
    assert (targets(processed), processed.reason) == (["qa.questions.dead"], reason)
    assert processed.reply_outcome == outcome


@pytest.mark.parametrize(
    ("mode", "topics"),
    [
        ("dead_letter", ["qa.questions.dead", "replies-1"]),
        ("drop", []),
        ("answer", ["replies-1"]),
    ],
)
async def test_the_reply_to_an_expired_question_follows_the_setting(
    brokers: Brokers, mode: str, topics: list[str]
) -> None:
    asked = question(TO, CORRELATION, ("qa.expires-at", b"2020-01-01T00:00:00Z"))
    processed = await processor(brokers, QA_EXPIRED=mode).process(asked, None)
    assert (targets(processed), processed.expired) == (topics, mode)
    if mode == "dead_letter":
        assert reply_of(processed)[1]["error"]["reason"] == "expired"


async def test_an_undecodable_record_keeps_its_reason(brokers: Brokers) -> None:
    undecodable = Rejected(Reason.UNDECODABLE, "a header's name is not UTF-8")
    for header, topics in ((TO, ["qa.questions.dead", "replies-1"]), (("reply_to", b"no"), None)):
        asked = question(header, undecodable=undecodable)
        processed = await processor(brokers).process(asked, None)
        assert (targets(processed), processed.reason) == (
            topics or ["qa.questions.dead"],
            Reason.UNDECODABLE,
        )


async def test_an_answer_that_is_too_large_for_its_reply_topic_is_an_error_reply(
    brokers: Brokers,
) -> None:
    brokers.configs = {"replies-1": {"max.message.bytes": "1000"}}
    processed = await processor(brokers).process(question(TO, value=LARGE), None)
    assert (targets(processed), processed.reason) == (
        ["qa.questions.dead", "replies-1"],
        Reason.ANSWER_TOO_LARGE,
    )
    _, reply = reply_of(processed)
    assert "more than replies-1 allows" in reply["error"]["detail"]


async def test_an_error_reply_that_does_not_fit_is_dropped(brokers: Brokers) -> None:
    brokers.configs = {"replies-1": {"max.message.bytes": "100"}}
    processed = await processor(brokers).process(question(TO, value=NO_JSON), None)
    assert (targets(processed), processed.reason) == (["qa.questions.dead"], Reason.NOT_JSON)
    assert processed.reply_outcome == "dropped"


async def test_a_compacted_reply_topic_gets_a_key(brokers: Brokers) -> None:
    brokers.configs = {"replies-1": {"cleanup.policy": "compact"}}
    for value in (None, NO_JSON):
        processed = await processor(brokers).process(question(TO, value=value), None)
        output, _ = reply_of(processed)
        assert output.key == b"qa.questions-0-7"


async def test_a_reply_to_the_answers_topic_is_published_once(brokers: Brokers) -> None:
    answering = processor(brokers, QA_REPLY_TOPICS="qa.answers", QA_REPLY_ALSO="true")
    processed = await answering.process(question(("reply_to", b"qa.answers")), None)
    assert [(each.topic, each.foreign) for each in processed.outputs] == [("qa.answers", False)]


@pytest.mark.parametrize(
    ("refused", "reason", "topics", "outcome"),
    [
        (
            refusal("replies-1", missing=True),
            Reason.REPLY_UNKNOWN,
            ["qa.questions.dead"],
            "unknown",
        ),
        (refusal("replies-1"), Reason.ANSWER_REFUSED, ["qa.questions.dead"], "dropped"),
        (
            refusal("replies-1", too_large=True),
            Reason.ANSWER_TOO_LARGE,
            ["qa.questions.dead", "replies-1"],
            "error",
        ),
        (
            refusal("qa.answers"),
            Reason.ANSWER_REFUSED,
            ["qa.questions.dead", "replies-1"],
            "error",
        ),
    ],
)
async def test_an_answer_that_a_topic_refuses_becomes_a_dead_letter(
    brokers: Brokers, refused: Refusal, reason: Reason, topics: list[str], outcome: str
) -> None:
    answering = processor(brokers, QA_REPLY_ALSO="true")
    value = json.dumps({"id": "q-1", "question": "Who?", "context": "Ada."}).encode()
    asked = question(TO, value=value)
    processed = await answering.process(asked, None)
    index = targets(processed).index(refused.topic)
    replaced = answering.replace_refused(asked, processed, {index: refused})
    assert (targets(replaced), replaced.reason) == (topics, reason)
    assert replaced.reply_outcome == outcome
    if len(topics) > 1:
        assert reply_of(replaced)[1]["id"] == "q-1"


async def test_a_refused_error_reply_is_dropped_and_the_dead_letter_stays(brokers: Brokers) -> None:
    answering, asked = processor(brokers), question(TO, value=NO_JSON)
    processed = await answering.process(asked, None)
    replaced = answering.replace_refused(asked, processed, {1: refusal("replies-1", missing=True)})
    assert replaced.outputs == processed.outputs[:1]
    assert replaced.reply_outcome == "dropped"


async def test_a_refused_dead_letter_is_reduced_beside_its_error_reply(brokers: Brokers) -> None:
    answering, asked = processor(brokers), question(TO, value=NO_JSON)
    processed = await answering.process(asked, None)
    replaced = answering.replace_refused(asked, processed, {0: refusal("qa.questions.dead")})
    assert targets(replaced) == targets(processed)
    assert (replaced.outputs[0].value, replaced.outputs[1]) == (None, processed.outputs[1])


async def test_a_question_that_is_sent_on_keeps_its_headers_and_gets_no_reply_yet(
    brokers: Brokers,
) -> None:
    worker = processor(brokers, QA_MIN_SCORE="1", QA_UNSURE_TOPIC="qa.unsure", QA_REPLY_ALSO="true")
    processed = await worker.process(question(TO, CORRELATION), None)
    (output,) = processed.outputs
    assert (output.topic, list(output.headers[:2])) == ("qa.unsure", [TO, CORRELATION])
    assert (processed.reason, processed.reply_outcome) == (None, None)
    refused = {0: refusal("qa.unsure")}
    dead_letter, reply = worker.replace_refused(question(TO), processed, refused).outputs
    assert (dead_letter.topic, reply.topic) == ("qa.questions.dead", "replies-1")


async def test_an_expired_question_that_is_dropped_counts_as_no_reply(brokers: Brokers) -> None:
    expired = {"question": "Who?", "context": "Ada.", "expires_at": "2001-01-01T00:00:00Z"}
    asked = question(TO, value=json.dumps(expired).encode())
    processed = await processor(brokers, QA_EXPIRED="drop").process(asked, None)
    assert (processed.outputs, processed.reason) == ((), Reason.EXPIRED)
    assert processed.reply_outcome is None
    processed = await processor(brokers).process(asked, None)
    assert reply_of(processed)[1]["error"]["reason"] == "expired"
    assert processed.reply_outcome == "error"


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_the_largest_request_bounds_what_foreign_topics_take(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch, delivery: str
) -> None:
    """Brokers that close the connection at a larger request would be asked again for ever."""

    async def send(_: BrokerClient, request: Any, *__: Any, **___: Any) -> Any:
        return await brokers.send(request)

    monkeypatch.setattr(BrokerClient, "send_to_any_broker", send)
    brokers.leaders = {"a": [1], "b": [1]}
    brokers.configs = {"a": {"max.message.bytes": "5000"}, "b": {"max.message.bytes": "77"}}
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "KAFKA_MAX_REQUEST_SIZE": "2000",
            "QA_DELIVERY": delivery,
        }
    )
    consumer: Any = None
    topics = create_delivery(
        settings, {}, consumer, TraceDispatcher(), ignore_throttled, ClusterSupport()
    ).foreign_topics
    assert [(await topics.find(name)).max_message_bytes for name in "ab"] == [2000, 77]
