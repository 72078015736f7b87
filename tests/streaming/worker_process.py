"""A worker as it runs in production: a process of its own, known by its port and its log."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.streaming.topics import until

WORKER = ("worker", "run")


class WorkerProcess:
    """`async with WorkerProcess(environment) as worker`: has joined its group inside.

    At the end it is killed, if it is still there.
    """

    def __init__(self, environment: Mapping[str, str], program: Sequence[str] = WORKER) -> None:
        """`program` is the arguments of `python -m`."""
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("QA_", "KAFKA_"))},
            **environment,
            "QA_LOG_FORMAT": "json",
        }
        descriptor, name = tempfile.mkstemp(prefix="qa-worker-", suffix=".log")
        os.close(descriptor)
        self._log = Path(name)
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *program],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def __aenter__(self) -> Self:
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()
        if error is not None:
            print(self.said[-4000:])
        self._log.unlink()

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of this name, so far."""
        lines = [line for line in self.said.splitlines() if line.startswith("{")]
        parsed = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in parsed if event.get("event") == name]

    @property
    def port(self) -> int:
        (started,) = self.events("started")
        return int(started["http_port"])

    async def ready(self) -> None:
        await until(lambda: bool(self.events("assigned")) or self._gone, "the worker is ready")
        assert not self._gone, self.said[-4000:]

    @property
    def _gone(self) -> bool:
        return self.process.poll() is not None

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page on the observing port."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            return response.status, await response.text()

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        _, page = await self.get("/metrics")
        lines = [line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, when it has one."""
        await until(lambda: self._gone, "the worker ends")
        assert self.process.returncode is not None
        return self.process.returncode
