"""`qa-worker demo` and `qa-worker ask` through the topics, as a user runs them."""

import asyncio
import json
import signal
import subprocess
import sys

import aiohttp
import pytest

from tests.brokers.protocol import Broker
from tests.forked import run_forked
from tests.streaming.topics import Topics
from tests.streaming.worker_process import WorkerProcess

pytestmark = pytest.mark.process


async def test_demo_keep_prints_a_console_url_with_its_token() -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "demo", "--keep",
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert demo.stderr is not None
        async with asyncio.timeout(60):
            while b"/console/#token=" not in (line := await demo.stderr.readline()):
                assert line, "it ended"
        page, token = line.decode().split("#token=")
        async with aiohttp.ClientSession() as client:
            known = {"Authorization": f"Bearer {token.strip()}"}
            async with client.get(f"{page.strip()}samples", headers=known) as response:
                assert (await response.json())["ready"]
            async with client.get(f"{page.strip()}samples") as response:
                assert response.status == 401
        async with asyncio.timeout(60):
            while b"Ctrl-C stops both" not in (line := await demo.stderr.readline()):
                assert line, "it ended"
        demo.send_signal(signal.SIGINT)
        await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
    assert demo.returncode == 0


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
