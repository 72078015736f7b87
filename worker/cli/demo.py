"""`qa-worker demo`: broker, topics, worker and questions on this machine, from nothing.

Everything is real: the broker is Apache Kafka, the worker is a process of its own, and the answers
come off its topic.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from schemas.answer import Answer
from worker.cli.demo_events import DemoEvent, demo_events
from worker.cli.errors import CommandError
from worker.cli.terminal import Table, marked, print_line, print_note
from worker.client import QuestionClient, QuestionResult
from worker.kafka.dev_broker import KAFKA_VERSION, DevBroker
from worker.kafka.topics import create_topics
from worker.settings import Settings
from worker.settings.environment import load

READY_SECONDS = 60.0
"""Time for the worker process to open its model and join the group, and time for it to stop."""
ANSWER_SECONDS = 60.0
PARTITIONS = 3


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave broker and worker running until Ctrl-C.")
    ] = False,
) -> None:
    """Start a broker and a worker here; send 19 questions and 2 invalid records; show answers."""
    # The demo shows the defaults, so the worker must not see settings of a real deployment.
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("QA_", "KAFKA_"))
    }
    with DevBroker() as broker:
        print_line(f"broker    {broker.bootstrap_servers} (Apache Kafka {KAFKA_VERSION})")
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
        print_line(f"topics    {', '.join(made)}")
        with _worker(environment) as port:
            print_line(f"worker    ready, metrics on http://127.0.0.1:{port}/metrics")
            _print_results(asyncio.run(_ask_all(settings, list(demo_events()))))
            if keep:
                _wait_for_interrupt(broker.bootstrap_servers, port, token)


async def _ask_all(
    settings: Settings, events: list[DemoEvent]
) -> list[tuple[DemoEvent, QuestionResult]]:
    async with QuestionClient.open(settings) as client:
        started = time.perf_counter()
        positions = [
            await client.send(event.value, key=f"demo-{number}".encode())
            for number, event in enumerate(events)
        ]
        results = [
            await client.wait_for_result(each, timeout_seconds=ANSWER_SECONDS) for each in positions
        ]
        seconds = time.perf_counter() - started
        print_line(f"questions {len(events)} sent, all outcomes received in {seconds:.1f} s")
    return list(zip(events, results, strict=True))


def _print_results(results: list[tuple[DemoEvent, QuestionResult]]) -> None:
    table = Table("Question", "Answer in its context", "Score", "Characters", "Windows")
    dead_letters = Table("Dead letter", "Reason", "Detail", "Bytes")
    for event, result in results:
        if event.question is None or result.reason:
            size = str(len(result.value or b""))
            dead_letters.add_row(event.label, result.reason, result.detail, size)
            continue
        answer = Answer.model_validate_json(result.value or b"")
        for rank, span in enumerate(answer.answers):
            found = span.end > span.start
            (passage,) = event.question.passages
            table.add_row(
                event.label if rank == 0 else "  (second best)",
                marked(passage.text, span.start, span.end) if found else "(no answer)",
                f"{span.score:.3f}",
                f"{span.start:,}-{span.end:,}",
                str(answer.windows),
            )
    table.print()
    dead_letters.print()


@contextlib.contextmanager
def _worker(environment: dict[str, str]) -> Iterator[int]:
    """Run a worker process; yields its HTTP port once the worker has joined the group.

    Raises `CommandError` if the worker does not start, or ends with an error.
    """
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
        except subprocess.TimeoutExpired:
            raise CommandError(f"the worker did not stop within {READY_SECONDS:g} s") from None
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise CommandError(f"the worker ended with exit code {process.returncode}")


def _wait_until_ready(process: subprocess.Popen[bytes], path: Path) -> int:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        logged = path.read_text(errors="replace")
        port = re.search(r'"http_port": (\d+)', logged)
        if port and '"assigned"' in logged:
            return int(port[1])
        time.sleep(0.05)
    ended = process.returncode is not None
    problem = "ended before it was ready" if ended else f"was not ready in {READY_SECONDS:g} s"
    last_line = "".join(path.read_text(errors="replace").splitlines()[-1:])
    raise CommandError(f"the worker {problem}; its last log line: {last_line or '(none)'}")


def _wait_for_interrupt(servers: str, port: int, token: str) -> None:
    here = f"KAFKA_BOOTSTRAP_SERVERS={servers}"
    installed = Path(sys.prefix, "bin", "qa-worker")
    program = "qa-worker" if shutil.which("qa-worker") == str(installed) else installed
    text = (
        "",
        "Broker and worker are running. Watch the worker and ask it in the console:",
        "",
        # Browsers do not send the fragment, the part after the #, to any server.
        f"  http://127.0.0.1:{port}/console/#token={token}",
        "",
        "From another terminal:",
        "",
        f"  {here} {program} ask --question 'Who?' --context 'It was Ada.'",
        f"  {here} {program} topics check",
        f"  curl http://127.0.0.1:{port}/metrics",
        f"  kcat -b {servers} -t qa.answers -o beginning -e",
        "",
        "Ctrl-C stops both.",
    )
    # SIGTERM stops the demo like Ctrl-C. A shell starts background jobs with SIGINT ignored, so
    # both handlers are set here, before the text invites to use them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        for line in text:
            print_note(line)
        signal.pause()
