"""`qa-worker demo` and `qa-worker ask` through the topics, as a user runs them."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import aiohttp

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


async def test_a_demo_that_is_kept_prints_where_its_console_is_and_how_to_open_it() -> None:
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
        demo.send_signal(signal.SIGINT)
        _, rest = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
    assert (demo.returncode, b"Ctrl-C ends it" in rest) == (0, True)


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
