"""Questions whose answers are unsure go to a topic of their own, where another worker answers."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.answer import Answer
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason
from tests.streaming.conftest import Running
from tests.streaming.fakes import NO_FOREIGN_TOPICS, settings
from tests.streaming.stub_engine import StubEngine, answer_to
from tests.streaming.topics import Topics, event, until
from worker.kafka.records import InputRecord
from worker.streaming.deadlines import DeadlinePolicy
from worker.streaming.output_limits import OutputLimits
from worker.streaming.processor import RecordProcessor
from worker.streaming.replies import ReplyRouter
from worker.streaming.unsure import UnsureQuestions, Verdict

ASKED = Question(id="1", question="Who?", context="Ada lives here.")
RECORD = InputRecord(
    topic="qa.questions",
    partition=3,
    offset=17,
    key=None,
    value=ASKED.model_dump_json(exclude_defaults=True).encode(),
    headers=[("traceparent", b"00-1"), ("own", b"\xff")],
)


def verdict(
    score: float, *, answered: bool = True, asked: float | None = None, setting: float = 0.0
) -> Verdict | None:
    question = ASKED.model_copy(update={"options": ReadingOptions(min_score=asked)})
    answer = answer_to(question).model_copy(update={"score": score, "answered": answered})
    return UnsureQuestions(setting).verdict(question, answer)


def test_a_verdict_follows_from_the_score_then_from_the_span() -> None:
    assert verdict(0.5) is Verdict.ANSWERED
    assert verdict(0.5, answered=False) is Verdict.NO_ANSWER
    assert verdict(0.5, setting=0.6) is Verdict.UNSURE
    assert verdict(0.5, setting=0.5) is Verdict.ANSWERED
    assert verdict(0.5, setting=0.6, asked=0.0) is Verdict.ANSWERED
    assert verdict(0.5, asked=0.6) is Verdict.UNSURE


def test_the_model_may_be_unsure_that_there_is_no_answer() -> None:
    assert verdict(0.3, answered=False, setting=0.6) is Verdict.UNSURE
    assert verdict(0.7, answered=False, setting=0.6) is Verdict.NO_ANSWER


def processor(unsure: UnsureQuestions, **fields: Any) -> RecordProcessor:
    topics = ("qa.answers", "qa.questions.dead", "qa.unsure")
    return RecordProcessor(
        engine=StubEngine(),
        decoders=ThreadPoolExecutor(1),
        answers_topic="qa.answers",
        dead_letters_topic="qa.questions.dead",
        max_record_bytes=10_000,
        replies=ReplyRouter(settings().qa, NO_FOREIGN_TOPICS),
        limits=OutputLimits({**dict.fromkeys(topics, 10_000), **fields.pop("limits", {})}),
        unsure=unsure,
        deadlines=DeadlinePolicy(),
        **fields,
    )


async def test_an_unsure_question_is_sent_on_as_it_came() -> None:
    processed = await processor(UnsureQuestions(0.6, "qa.unsure")).process(RECORD, None)
    (output,) = processed.outputs
    assert (processed.reason, processed.verdict) == (None, Verdict.UNSURE)
    assert (output.topic, output.key, output.value) == ("qa.unsure", None, RECORD.value)
    assert list(output.headers[:2]) == RECORD.headers
    assert dict(output.headers[2:]) == {
        "qa.unsure.topic": b"qa.questions",
        "qa.unsure.partition": b"3",
        "qa.unsure.offset": b"17",
        "qa.unsure.answer": b"Ada",
        "qa.unsure.score": b"0.500000",
        "qa.unsure.model": b"stub",
    }


async def test_without_the_topic_an_unsure_answer_is_an_answer() -> None:
    processed = await processor(UnsureQuestions(0.6)).process(RECORD, None)
    assert [each.topic for each in processed.outputs] == ["qa.answers"]
    assert processed.verdict is Verdict.UNSURE


async def test_a_sure_answer_goes_to_the_answers() -> None:
    processed = await processor(UnsureQuestions(0.4, "qa.unsure")).process(RECORD, None)
    assert [each.topic for each in processed.outputs] == ["qa.answers"]


async def test_a_compacted_topic_gets_a_key() -> None:
    unsure = UnsureQuestions(0.6, "qa.unsure")
    processed = await processor(unsure, compacted={"qa.unsure"}).process(RECORD, None)
    assert processed.outputs[0].key == b"qa.questions-3-17"


async def test_an_unsure_question_that_its_topic_does_not_take_is_a_dead_letter() -> None:
    unsure = UnsureQuestions(0.6, "qa.unsure")
    processed = await processor(unsure, limits={"qa.unsure": 100}).process(RECORD, None)
    assert processed.reason is Reason.ANSWER_TOO_LARGE
    assert [each.topic for each in processed.outputs] == ["qa.questions.dead"]


async def test_the_next_worker_gives_the_answer_the_first_id_and_place() -> None:
    """The question has no id of its own."""
    nameless = replace(RECORD, value=b'{"question": "Who?", "context": "Ada lives here."}')
    first = await processor(UnsureQuestions(0.6, "qa.unsure")).process(nameless, None)
    sent_on = first.outputs[0]
    read = InputRecord("qa.unsure", 0, 5, sent_on.key, sent_on.value, list(sent_on.headers))
    (answer,) = (await processor(UnsureQuestions()).process(read, None)).outputs
    assert answer.topic == "qa.answers"
    document = Answer.model_validate_json(answer.value or b"")
    assert document.id == "qa.questions-3-17"
    assert document.source is not None
    assert document.source.topic == "qa.unsure"
    named = {name: text for name, text in answer.headers if name.startswith("qa.unsure.")}
    assert named == {
        "qa.unsure.topic": b"qa.questions",
        "qa.unsure.partition": b"3",
        "qa.unsure.offset": b"17",
    }


def counted() -> dict[Verdict, float]:
    return {
        each: REGISTRY.get_sample_value("qa_verdicts_total", {"verdict": each}) or 0.0
        for each in Verdict
    }


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_two_workers_in_a_row_answer_each_question_once(
    topics: Topics, running: Running, delivery: str
) -> None:
    """The first is unsure of every third question, by the question's own option."""
    mark = f"{id(running)}-{delivery}"
    unsure, second_dead = f"unsure-{mark}", f"second-dead-{mark}"
    first = {"QA_UNSURE_TOPIC": unsure, "QA_DELIVERY": delivery}
    before = counted()
    async with Topics(topics.servers, first) as asking:
        await asking.create()
        asked = [event(n, options={"min_score": 0.9 if n % 3 == 0 else 0.1}) for n in range(12)]
        await asking.send([*asked, b"no JSON"])
        second = {
            "QA_QUESTIONS_TOPIC": unsure,
            "QA_ANSWERS_TOPIC": asking.settings.qa.answers_topic,
            "QA_DEAD_LETTERS_TOPIC": second_dead,
            "QA_DELIVERY": delivery,
        }
        async with running(asking.settings, StubEngine()):
            await until(lambda: asking.has(8), "the answers of the first worker")
            await asking.committed_are({0: 7, 1: 6})
        assert len(await asking.records(unsure)) == 4
        assert len(await asking.dead_letters()) == 1
        after = counted()
        assert after[Verdict.UNSURE] - before[Verdict.UNSURE] == 4
        assert after[Verdict.ANSWERED] - before[Verdict.ANSWERED] == 8
        async with Topics(topics.servers, second) as onward:
            await onward.create()
            async with running(onward.settings, StubEngine()):
                await until(lambda: asking.has(12), "the answers of the second worker")
        answers = await asking.answers()
    ids = sorted(json.loads(each.value)["id"] for each in answers)
    assert ids == sorted(f"q-{n}" for n in range(12))
    places = [dict(each.headers).get("qa.unsure.topic") for each in answers]
    assert places.count(asking.settings.qa.questions_topic.encode()) == 4
