"""Programs of this repository as processes, forked from one that has imported the worker.

A start costs some hundredths of a second of processor time in place of more than one, which is what
Python's imports take; a run of the tests starts about 200 processes. A process is as real as one
that `python -m` starts: it has its own memory, environment, signals and exit code. Benchmarks and
the tests of installed packages start theirs by `python -m` or by the installed command.
"""

import contextlib
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import parent_process, reduction
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any, Self

AUDIT_EVENT = "tests.forked.Forked"
"""Raised at each start, as `subprocess.Popen` is: tests/markers.py asks for a mark."""

_context = multiprocessing.get_context("forkserver")
# OpenTelemetry and the hub's client read their environment when they are imported; each process
# imports them itself.
_context.set_forkserver_preload(
    [
        *(f"worker.cli.{each}" for each in ("run", "ask", "dead_letters", "model", "topics")),
        __name__,
    ]
)

_COMMAND_SECONDS = 120.0


class Forked:
    """`python -m MODULE ARGUMENTS` in a process of its own, with the methods of `subprocess.Popen`.

    It ends at the latest with the process that started it.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        output: IO[bytes] | int,
        errors: IO[bytes] | int,
        directory: Path | None = None,
    ) -> None:
        """`output`, `errors`: what standard output and standard error are, as files or handles."""
        sys.audit(AUDIT_EVENT, module, arguments)
        streams = [each if isinstance(each, int) else each.fileno() for each in (output, errors)]
        self._process = _context.Process(
            target=_run,
            args=(
                [module, *arguments],
                dict(environment),
                directory or Path.cwd(),
                [_Handle(each) for each in streams],
            ),
            daemon=True,
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; minus the number of the signal that ended the process; `None` before."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait at most `timeout` seconds for the end. Raises `TimeoutError`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} has not ended after {timeout} s")
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to a process that has not ended; nothing to one that has."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def run_forked(
    *arguments: str,
    environment: Mapping[str, str],
    module: str = "worker",
    terminal: int | None = None,
    directory: Path | None = None,
) -> Done:
    """Run `qa-worker ARGUMENTS`, or `python -m MODULE ARGUMENTS`. Raises `TimeoutError`.

    `terminal`: the handle of a terminal that is its standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        with Forked(
            module,
            *arguments,
            environment=environment,
            output=output,
            errors=errors if terminal is None else terminal,
            directory=directory,
        ) as process:
            code = process.wait(_COMMAND_SECONDS)
        return Done(code, *(_text(each) for each in (output, errors)))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class _Handle:
    """A handle that the child gets a duplicate of."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[object, ...]:
        return _duplicate, (reduction.DupFd(self._number),)


def _duplicate(sent: Any) -> int:
    handle: int = sent.detach()
    return handle


def _run(
    program: list[str], environment: dict[str, str], directory: Path, streams: list[int]
) -> None:
    """What the child runs: `program` as `python -m` runs it."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.argv = [program[0], *program[1:]]
    runpy.run_module(program[0], run_name="__main__", alter_sys=True)


def _end_with_the_parent() -> None:
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
