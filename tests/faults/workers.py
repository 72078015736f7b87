"""Worker processes in slots, each of which restarts its process as Kubernetes would.

Each slot has its own proxies to the brokers, and one log file for all its processes.
"""

import asyncio
import math
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.faults.cluster import TIMEOUT_SECONDS
from tests.faults.failpoints import FAILPOINT, UNOPENABLE
from tests.forked import Forked

CLIENT_ID = "qa-worker-faults"

_RESTART_SECONDS = 0.2
"""Between the end of a process and the next start; CrashLoopBackOff starts without a delay too."""

_ASSIGNED = b'"event": "assigned"'

_LOG_ERRORS = ("never retrieved", "was destroyed", "never awaited", "Unclosed", "Traceback (most")
_LOG_ERROR_CHARACTERS = 300

LEAVE_SECONDS = 25.0
"""From SIGTERM to exit: QA_SHUTDOWN_SECONDS (20) and a margin."""


class Worker:
    """One slot. From `start` to `stop` a process runs in it or is about to be restarted."""

    def __init__(self, slot: int, environment: Mapping[str, str], log: Path) -> None:
        self.slot = slot
        self.log = log
        self.starts = 0
        self.exits: list[str] = []
        """Exits that no signal caused: `exit 1: the last line of the log`."""
        self.killed = 0
        """Processes that ended by SIGKILL, from the suite or from a failpoint."""
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("QA_", "KAFKA_"))},
            "KAFKA_CLIENT_ID": CLIENT_ID,
            **environment,
        }
        self._process: Forked | None = None
        self._wanted = False
        self._supervising: asyncio.Task[None] | None = None
        self._extra: dict[str, str] = {}
        self._leaving: Forked | None = None  # `restart` has told it to exit
        self._began = 0

    # Supervision, as by Kubernetes.

    def start(self) -> None:
        """Run a process, and restart it whenever it ends, until `stop`."""
        self._wanted = True
        self._launch()
        self._supervising = asyncio.create_task(self._supervise())

    async def ready(self) -> None:
        """Wait until the worker has been assigned partitions since its last start."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while _ASSIGNED not in self.output():  # noqa: ASYNC110 - file of another process
                await asyncio.sleep(0.05)

    async def stop(self) -> str | None:
        """SIGTERM without a restart. Returns the problem, or `None`; the process has ended."""
        self._wanted = False
        if self._supervising is None:
            return None
        supervising, self._supervising = self._supervising, None
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(supervising), LEAVE_SECONDS)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await supervising
            return f"slot {self.slot}: did not exit within {LEAVE_SECONDS:g} s of SIGTERM"
        assert self._process is not None
        code = self._process.wait()
        # Negative: a signal before the worker had started, or an armed failpoint.
        if code <= 0:
            return None
        return f"slot {self.slot}: exit {code} after SIGTERM: {self._last_line()}"

    def output(self) -> bytes:
        """The log of the current process."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read()

    def log_errors(self) -> list[str]:
        """Log lines about unretrieved exceptions, destroyed tasks, unclosed connections, and
        tracebacks, from all processes of the slot.
        """
        return [
            line[:_LOG_ERROR_CHARACTERS]
            for line in self.log.read_text(errors="replace").splitlines()
            if any(mark in line for mark in _LOG_ERRORS)
        ]

    # Faults.

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def suspend(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    @property
    def is_suspended(self) -> bool:
        """Whether the process is stopped. False if it has just ended."""
        assert self._process is not None
        with suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
            return status.rpartition(")")[2].split()[0] == "T"
        return False

    async def restart(self, **extra: str) -> None:
        """SIGTERM. The next process has `extra` in its environment. If it exits by itself, at its
        start for example, the one after it has `extra` too.
        """
        self._extra, self._leaving = extra, self._process
        starts = self.starts
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_SECONDS
        while self.starts == starts:
            if time.monotonic() > deadline:
                deadline = math.inf
                self.exits.append(f"killed: did not exit within {LEAVE_SECONDS:g} s of SIGTERM")
                self.kill()
            await asyncio.sleep(0.05)

    async def _supervise(self) -> None:
        while True:
            assert self._process is not None
            process = self._process
            while process.poll() is None:  # noqa: ASYNC110 - asyncio has no event for this child
                await asyncio.sleep(0.05)
            if not self._wanted:
                return
            self._note(process)
            await asyncio.sleep(_RESTART_SECONDS)
            if not self._wanted:
                return
            self._launch()

    def _launch(self) -> None:
        extra = self._extra
        self.starts += 1
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts} {extra or ''}\n".encode())
            self._began = log.tell()
            self._process = Forked(
                "tests.faults.faulty_worker",
                environment=self._environment | extra,
                output=log,
                errors=log,
            )

    def _note(self, process: Forked) -> None:
        assert process.returncode is not None
        if process.returncode > 0:
            self.exits.append(f"exit {process.returncode}: {self._last_line()}")
        elif process is not self._leaving:
            self._extra = {}
            self.killed += process.returncode == -signal.SIGKILL

    def _last_line(self) -> str:
        lines = self.output().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def armed(point: str, passage: int, sent: signal.Signals) -> dict[str, str]:
    return {FAILPOINT: f"{point}:{passage}:{sent.name}"}


def unopenable(deliveries: int, failures: int) -> dict[str, str]:
    return {UNOPENABLE: f"{deliveries}:{failures}"}
