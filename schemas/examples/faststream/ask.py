"""Ask questions through Kafka with FastStream, and wait for the reply to each.

    pip install 'faststream[kafka]'
    python ask.py CONTEXT QUESTION...

Prints a line for each question: the answer event, or the error reply of a rejected question.
Environment variables: KAFKA_BOOTSTRAP_SERVERS, QA_QUESTIONS_TOPIC, REPLY_TOPIC, which the worker's
QA_REPLY_TOPICS has to allow, and REPLY_TIMEOUT_SECONDS.

FastStream's `broker.request` does not exist for Kafka; `publish` with `reply_to` does the same.
"""

import asyncio
import json
import os
import sys
import uuid
from typing import Any

from faststream.kafka import KafkaBroker, KafkaMessage

QUESTIONS = os.environ.get("QA_QUESTIONS_TOPIC", "qa.questions")
REPLIES = os.environ.get("REPLY_TOPIC", "replies-faststream")
TIMEOUT_SECONDS = float(os.environ.get("REPLY_TIMEOUT_SECONDS", "30"))

# Its log goes to stdout by default.
broker = KafkaBroker(os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"), logger=None)
waiting: dict[str, "asyncio.Future[dict[str, Any]]"] = {}


# The worker writes in transactions; without read_committed, a consumer may see replies of an
# aborted one. Without a group, every program reads all replies and ignores those of others.
@broker.subscriber(REPLIES, isolation_level="read_committed", auto_offset_reset="earliest")  # type: ignore[untyped-decorator]
async def on_reply(reply: dict[str, Any], message: KafkaMessage) -> None:
    future = waiting.pop(message.correlation_id or "", None)
    if future is not None:
        future.set_result(reply)


async def ask(question: str, context: str) -> dict[str, Any]:
    """The answer, or the error reply. Raises `TimeoutError`."""
    correlation_id = uuid.uuid4().hex
    future = waiting[correlation_id] = asyncio.get_running_loop().create_future()
    await broker.publish(
        {"question": question, "context": context},
        QUESTIONS,
        key=b"example",
        correlation_id=correlation_id,
        reply_to=REPLIES,
    )
    return await asyncio.wait_for(future, TIMEOUT_SECONDS)


async def main(context: str, *questions: str) -> None:
    async with broker:
        await broker.start()
        for question in questions:
            try:
                print(json.dumps(await ask(question, context), ensure_ascii=False))
            except TimeoutError:
                print(f"no reply within {TIMEOUT_SECONDS:g} s", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
