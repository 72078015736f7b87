"""`qa-worker ask` through the topics, as a user runs them."""

import asyncio
import json

import pytest

from tests.brokers.protocol import Broker
from tests.forked import run_forked
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.process


async def test_ask_through_kafka_prints_answer_or_rejection(broker: Broker) -> None:
    topics = Topics(broker.bootstrap_servers)
    await topics.create()
    async with WorkerProcess(topics.environment):
        asked = await asyncio.to_thread(
            run_forked,
            "ask",
            "--question=Who wrote it?",
            "--context=It was written by Ada Byron in 1843.",
            "--json",
            environment=topics.environment,
        )
        refused = await asyncio.to_thread(
            run_forked, "ask", "--question= ", "--context=x", environment=topics.environment
        )
    assert asked.code == 0, asked.err
    answer = json.loads(asked.out)
    assert answer["answer"] == "Ada Byron"
    assert answer["source"]["topic"] == topics.settings.qa.questions_topic
    assert refused.code == 1
    assert refused.err == "qa-worker: rejected, schema: question: is blank\n"


async def test_ask_times_out_without_a_worker(broker: Broker) -> None:
    topics = Topics(broker.bootstrap_servers)
    await topics.create()
    asked = await asyncio.to_thread(
        run_forked,
        "ask",
        "--question=Who?",
        "--context=Ada.",
        "--timeout=0.5",
        environment=topics.environment,
    )
    assert asked.code == 1
    assert "is a worker running" in asked.err
    assert asked.err.count("\n") == 1
