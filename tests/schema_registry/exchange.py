"""Confluent's serializers ask a worker process and its deserializers read the answers, through
Kafka and a schema registry.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from schemas import Answer
from tests.schema_registry.foreign_schemas import ANSWER, CONTEXT, QA_FIELDS
from tests.schema_registry.serializers import (
    Asked,
    deserialized,
    expected_metadata,
    serialized_questions,
)
from tests.streaming.topics import Topics, until
from tests.streaming.worker_process import WorkerProcess
from worker.schema_registry.framing import VALUE_SCHEMA_ID


async def exchange(
    servers: str, registry_url: str, answer_format: str, delivery: str
) -> Sequence[tuple[Asked, str]]:
    """Each question with what is wrong with its answer, which is empty if nothing is."""
    environment = {
        "SCHEMA_REGISTRY_URL": registry_url,
        "QA_DELIVERY": delivery,
        "QA_FIELDS": QA_FIELDS,
        "QA_ANSWER_FORMAT": answer_format,
        "QA_REGISTER_SCHEMAS": str(answer_format != "json").lower(),
    }
    async with Topics(servers, environment) as topics:
        await topics.create()
        topic = topics.settings.qa.questions_topic
        asked = await asyncio.to_thread(lambda: list(serialized_questions(registry_url, topic)))
        for each in asked:
            await topics.send([each.value], headers=each.headers)

        async def handled() -> bool:
            return len(await topics.answers()) + len(await topics.dead_letters()) >= len(asked)

        async with WorkerProcess(topics.environment):
            await until(handled, "all answers")
        answers = {}
        for record in await topics.answers():
            document = await asyncio.to_thread(deserialized, registry_url, answer_format, record)
            answers[document["id"]] = document, record.headers
        reasons = [dict(record.headers)["qa.reason"] for record in await topics.dead_letters()]
    return [
        (each, _problem(*answers[str(each.key)], answer_format, each.format))
        if str(each.key) in answers
        else (each, f"no answer; dead letters: {reasons}")
        for each in asked
    ]


def _problem(
    document: dict[str, Any],
    headers: Sequence[tuple[str, bytes]],
    answer_format: str,
    question_format: str,
) -> str:
    metadata, expected = document["metadata"], expected_metadata(answer_format, question_format)
    if metadata != expected:
        return f"metadata {metadata}, not {expected}"
    answer = Answer.model_validate(document)
    if answer.answer != ANSWER or CONTEXT[answer.start : answer.end] != ANSWER:
        return f"answer {answer}"
    if VALUE_SCHEMA_ID in dict(headers):
        return "the question's header is the answer's"
    return ""
