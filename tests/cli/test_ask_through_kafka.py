"""`qa-worker ask` through the topics, as a user runs them."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from tests.brokers.protocol import Broker
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.process


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("QA_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


async def test_ask_through_kafka_prints_answer_or_rejection(broker: Broker) -> None:
    topics = Topics(broker.bootstrap_servers)
    await topics.create()
    async with WorkerProcess(topics.environment):
        asked = await asyncio.to_thread(
            command,
            "ask",
            "--question=Who wrote it?",
            "--context=It was written by Ada Byron in 1843.",
            "--json",
            **topics.environment,
        )
        refused = await asyncio.to_thread(
            command, "ask", "--question= ", "--context=x", **topics.environment
        )
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer["answer"] == "Ada Byron"
    assert answer["source"]["topic"] == topics.settings.qa.questions_topic
    assert refused.returncode == 1
    assert refused.stderr == "qa-worker: rejected, schema: question: is blank\n"


async def test_ask_times_out_without_a_worker(broker: Broker) -> None:
    topics = Topics(broker.bootstrap_servers)
    await topics.create()
    asked = await asyncio.to_thread(
        command, "ask", "--question=Who?", "--context=Ada.", "--timeout=0.5", **topics.environment
    )
    assert asked.returncode == 1
    assert "is a worker running" in asked.stderr
    assert asked.stderr.count("\n") == 1
