"""A worker as a process, as in production; tests read its log and its HTTP port."""

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

from tests.forked import Forked
from tests.streaming.topics import until

WORKER = ("worker", "run")


class WorkerProcess:
    """`async with WorkerProcess(environment) as worker`: the worker has joined its group inside.

    The end of the block kills a worker that still runs.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        program: Sequence[str] = WORKER,
        *,
        forked: bool = True,
    ) -> None:
        """`program`: the arguments of `python -m`. Not `forked`, its start and its memory are those
        of production.
        """
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("QA_", "KAFKA_"))},
            **environment,
            "QA_LOG_FORMAT": "json",
        }
        descriptor, name = tempfile.mkstemp(prefix="qa-worker-", suffix=".log")
        os.close(descriptor)
        self._log = Path(name)
        self.process: Forked | subprocess.Popen[bytes]
        with self._log.open("wb") as output:
            if forked:
                self.process = Forked(
                    *program, environment=self.environment, output=output, errors=output
                )
            else:
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
            print(self.output[-4000:])
        self._log.unlink()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log events with this name so far."""
        lines = [line for line in self.output.splitlines() if line.startswith("{")]
        parsed = [json.loads(line) for line in lines if line.endswith("}")]
        return [event for event in parsed if event.get("event") == name]

    @property
    def port(self) -> int:
        (started,) = self.events("started")
        return int(started["http_port"])

    async def ready(self) -> None:
        await until(lambda: bool(self.events("assigned")) or self._has_ended, "the worker is ready")
        assert not self._has_ended, self.output[-4000:]

    @property
    def _has_ended(self) -> bool:
        return self.process.poll() is not None

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page on the HTTP port."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            return response.status, await response.text()

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        _, page = await self.get("/metrics")
        lines = [line for line in page.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def kill(self) -> None:
        """SIGKILL; returns when the process has ended."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait until the process has ended. Returns its exit code."""
        await until(lambda: self._has_ended, "the worker ends")
        assert self.process.returncode is not None
        return self.process.returncode
