"""`qa-worker demo` and `qa-worker ask` through the topics, as a user runs them."""

import asyncio
import json
import os
import subprocess
import sys

from tests.brokers.protocol import Broker
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess


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


def test_the_demo_answers_and_says_what_it_could_not() -> None:
    done = command("demo")
    assert done.returncode == 0, done.stderr
    assert "▸Anna Lindqvist◂" in done.stdout
    assert "wounded owl◂" in done.stdout
    assert "not_json" in done.stdout
    assert "21 sent and settled" in done.stdout
    assert done.stderr == ""


async def test_asking_through_the_topics_gives_the_answer_of_the_worker(broker: Broker) -> None:
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


async def test_asking_where_no_worker_runs_says_so(broker: Broker) -> None:
    topics = Topics(broker.bootstrap_servers)
    await topics.create()
    asked = await asyncio.to_thread(
        command, "ask", "--question=Who?", "--context=Ada.", "--timeout=0.5", **topics.environment
    )
    assert asked.returncode == 1
    assert "is a worker running" in asked.stderr
    assert asked.stderr.count("\n") == 1
