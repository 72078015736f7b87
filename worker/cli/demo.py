"""`qa-worker demo`: broker, topics, worker and questions on this machine, from nothing.

Everything is real: the broker is Apache Kafka, the worker is a process of its own, and the answers
come off its topic.
"""

import asyncio
import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from schemas.answer import Answer
from worker.cli.demo_events import DemoEvent, demo_events
from worker.cli.terminal import err, marked, out
from worker.client import QuestionClient, QuestionResult
from worker.kafka.dev_broker import KAFKA_VERSION, DevBroker
from worker.kafka.errors import StreamingError
from worker.kafka.topics import create_topics
from worker.settings import Settings
from worker.settings.environment import load

READY_SECONDS = 60.0
ANSWER_SECONDS = 60.0
PARTITIONS = 3


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="leave it running until Ctrl-C")] = False,
) -> None:
    """Start a broker and a worker here, ask about twenty questions, show what comes back."""
    # The demo shows defaults: settings of a real deployment stay out of it.
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("QA_", "KAFKA_"))
    }
    with DevBroker() as broker:
        out.print(f"broker    {broker.bootstrap_servers} (Apache Kafka {KAFKA_VERSION})")
        token = secrets.token_urlsafe()
        environment = {
            **plain,
            "QA_CONSOLE": "true",
            "QA_CONSOLE_TOKEN": token,
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "QA_HTTP_HOST": "127.0.0.1",
            "QA_HTTP_PORT": "0",
            "QA_LOG_FORMAT": "json",
        }
        settings = load(environment)
        made = asyncio.run(create_topics(settings, partitions=PARTITIONS, replication=1))
        out.print(f"topics    {', '.join(made)}")
        with _worker(environment) as port:
            out.print(f"worker    ready, metrics on http://127.0.0.1:{port}/metrics")
            _show(asyncio.run(_ask_all(settings, list(demo_events()))))
            if keep:
                _stay(broker.bootstrap_servers, port, token)


async def _ask_all(
    settings: Settings, events: list[DemoEvent]
) -> list[tuple[DemoEvent, QuestionResult]]:
    async with QuestionClient(settings) as asker:
        began = time.perf_counter()
        places = [
            await asker.send(event.value, key=f"demo-{number}".encode())
            for number, event in enumerate(events)
        ]
        outcomes = [await asker.outcome(place, seconds=ANSWER_SECONDS) for place in places]
        out.print(
            f"questions {len(events)} sent and settled in {time.perf_counter() - began:.1f} s"
        )
    return list(zip(events, outcomes, strict=True))


def _show(settled: list[tuple[DemoEvent, QuestionResult]]) -> None:
    table = Table("Question", "Answer in its context", "Score", "At", "Windows")
    letters = Table("Dead letter", "Reason", "Why", "Bytes")
    for event, outcome in settled:
        if outcome.reason:
            size = str(len(outcome.value or b""))
            letters.add_row(escape(event.label), outcome.reason, escape(outcome.detail), size)
            continue
        answer = Answer.model_validate_json(outcome.value or b"")
        for rank, span in enumerate(answer.answers):
            found = span.end > span.start
            table.add_row(
                escape(event.label) if rank == 0 else "  (second best)",
                marked(event.context, span.start, span.end) if found else "(no answer)",
                f"{span.score:.3f}",
                f"{span.start:,}-{span.end:,}",
                str(answer.windows),
            )
    out.print(table)
    out.print(letters)


@contextlib.contextmanager
def _worker(environment: dict[str, str]) -> Iterator[int]:
    """A worker process; yields the port of its probes once it has joined the group."""
    with tempfile.TemporaryDirectory(prefix="qa-demo-") as directory:
        path = Path(directory, "worker.log")
        with path.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "worker", "run"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield _wait_until_ready(process, path)
            process.send_signal(signal.SIGTERM)
            process.wait(READY_SECONDS)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise StreamingError(f"the worker ended with exit code {process.returncode}")


def _wait_until_ready(process: subprocess.Popen[bytes], path: Path) -> int:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        said = path.read_text(errors="replace")
        port = re.search(r'"http_port": (\d+)', said)
        if port and '"assigned"' in said:
            return int(port[1])
        time.sleep(0.05)
    raise StreamingError(f"the worker did not come up: {path.read_text(errors='replace')[-2000:]}")


def _stay(servers: str, port: int, token: str) -> None:
    here = f"KAFKA_BOOTSTRAP_SERVERS={servers}"
    err.print("\nLeft running. The console, to watch it and to ask it:\n")
    # What comes after the # stays in the browser: it is sent to nobody.
    console = f"http://127.0.0.1:{port}/console/#token={token}"
    err.print(f"  {console}", soft_wrap=True, markup=False)
    err.print("\nFrom another terminal, in this directory:\n")
    for command in (
        f"{here} .venv/bin/qa-worker ask --question 'Who?' --context 'It was Ada.'",
        f"{here} .venv/bin/qa-worker topics check",
        f"curl http://127.0.0.1:{port}/metrics",
        f"kcat -b {servers} -t qa.answers -o beginning -e",
    ):
        err.print(f"  {command}", soft_wrap=True, markup=False)
    err.print("\nCtrl-C ends it.")
    # However it is told to end, and also where a shell started it with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
