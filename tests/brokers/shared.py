"""One broker for all processes of a run. pytest-xdist starts several, and a broker for each would
compete with the tests for the processors.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers.protocol import Broker


@dataclass(slots=True)
class BrokerOfAnotherProcess:
    """A broker that another process of the run starts and ends."""

    name: str
    bootstrap_servers: str

    def start(self) -> None: ...

    def stop(self) -> None: ...


def directory_of_run(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """A directory that all processes of the run share."""
    directory = factory.getbasetemp()
    # That of a process of xdist is within.
    return directory.parent if hasattr(config, "workerinput") else directory


@contextmanager
def shared_broker(directory: Path, choose: Callable[[], Broker]) -> Iterator[Broker]:
    """The broker of all processes that name this directory.

    The first of them starts it, and ends it when no other uses it. Raises `BrokerUnavailable`.
    """
    note = directory / "broker"
    with (directory / "broker.users").open("w") as users:
        with (directory / "broker.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a broker that is about to end
            started: Broker | None = None
            if note.exists():
                name, servers = note.read_text().split("\n")
            else:
                started = choose()
                started.start()
                note.write_text(f"{started.name}\n{started.bootstrap_servers}")
        if started is None:
            yield BrokerOfAnotherProcess(name, servers)
            return
        try:
            yield started
        finally:
            fcntl.flock(users, fcntl.LOCK_EX)  # waits for the other processes
            note.unlink()
            started.stop()
