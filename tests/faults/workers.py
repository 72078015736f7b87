"""Workers as real processes in slots, and what Kubernetes does for them: what ends is restarted.

Each slot has its own way to the brokers and one log for all its processes in turn.
"""

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.faults.cluster import PATIENCE_SECONDS
from tests.faults.failpoints import FAILPOINT, UNOPENABLE

_RESTART_SECONDS = 0.2
"""Between the end of a process and its successor: at once, as CrashLoopBackOff begins."""

_ASSIGNED = b'"event": "assigned"'

_COMPLAINTS = ("never retrieved", "was destroyed", "never awaited", "Unclosed", "Traceback (most")
_COMPLAINT_CHARACTERS = 300

LEAVE_SECONDS = 25.0
"""For a worker to leave when told to: QA_SHUTDOWN_SECONDS and a little."""


class Worker:
    """One slot. Between `start` and `stop` a process runs in it, or is about to."""

    def __init__(self, slot: int, environment: Mapping[str, str], log: Path) -> None:
        self.slot = slot
        self.log = log
        self.starts = 0
        self.exits: list[str] = []
        """How processes ended that gave up by themselves: `exit 1: the last line`."""
        self.killed = 0
        """How many ended by SIGKILL, whoever sent it."""
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("QA_", "KAFKA_"))},
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False
        self._keeper: asyncio.Task[None] | None = None
        self._extra: dict[str, str] = {}
        self._leaving: subprocess.Popen[bytes] | None = None  # for its successor to come
        self._began = 0

    # Kubernetes' part.

    def start(self) -> None:
        """Runs a process, and another when that ends, until `stop`."""
        self._wanted = True
        self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def ready(self) -> None:
        """Has been given partitions since its last start."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _ASSIGNED not in self.said():  # noqa: ASYNC110 - another process's file
                await asyncio.sleep(0.05)

    async def stop(self) -> str | None:
        """SIGTERM, and no successor. What went wrong, or `None`; it is gone in any case."""
        self._wanted = False
        if self._keeper is None:
            return None
        keeper, self._keeper = self._keeper, None
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(keeper), LEAVE_SECONDS)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await keeper
            return f"slot {self.slot}: did not leave within {LEAVE_SECONDS:g} s of SIGTERM"
        assert self._process is not None
        code = self._process.returncode
        # A signal's number: it came before the worker had begun, or a failpoint was still armed.
        if code <= 0:
            return None
        return f"slot {self.slot}: exit {code} after SIGTERM: {self._last_line()}"

    def said(self) -> bytes:
        """The log of the process that runs now."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read()

    def complaints(self) -> list[str]:
        """What asyncio and the client found left behind in any of its processes: an error that
        nobody looked at, a task or a connection that nobody ended.
        """
        return [
            line[:_COMPLAINT_CHARACTERS]
            for line in self.log.read_text(errors="replace").splitlines()
            if any(mark in line for mark in _COMPLAINTS)
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
        """By whomever. False also where it is just gone."""
        assert self._process is not None
        with suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
            return status.rpartition(")")[2].split()[0] == "T"
        return False

    async def restart(self, **extra: str) -> None:
        """SIGTERM; the successor has `extra` in its environment, and so do those after it until
        one of them has not given up by itself, at its start, say.
        """
        self._extra, self._leaving = extra, self._process
        starts = self.starts
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + LEAVE_SECONDS
        while self.starts == starts:
            if time.monotonic() > deadline:
                deadline = math.inf
                self.exits.append(f"killed: did not leave within {LEAVE_SECONDS:g} s of SIGTERM")
                self.kill()
            await asyncio.sleep(0.05)

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            process = self._process
            while process.poll() is None:  # noqa: ASYNC110 - a child has no event to wait for
                await asyncio.sleep(0.05)
            assert process.stdin is not None
            process.stdin.close()
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
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.faulty_worker"],
                env=self._environment | extra,
                stdin=subprocess.PIPE,  # it ends with this process, which holds the other end
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _note(self, process: subprocess.Popen[bytes]) -> None:
        if process.returncode > 0:
            self.exits.append(f"exit {process.returncode}: {self._last_line()}")
        elif process is not self._leaving:
            self._extra = {}
            self.killed += process.returncode == -signal.SIGKILL

    def _last_line(self) -> str:
        lines = self.said().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


def armed(point: str, passage: int, sent: signal.Signals) -> dict[str, str]:
    return {FAILPOINT: f"{point}:{passage}:{sent.name}"}


def unopenable(deliveries: int, failures: int) -> dict[str, str]:
    return {UNOPENABLE: f"{deliveries}:{failures}"}
