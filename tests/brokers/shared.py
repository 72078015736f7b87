"""One broker of a kind for all processes of a run. pytest-xdist starts several, and a broker for
each would compete with the tests for the processors.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.brokers.protocol import Broker


@dataclass(slots=True)
class SharedBroker:
    """A broker that `shared_broker` starts and ends."""

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
def shared(
    directory: Path, name: str, start: Callable[[], AbstractContextManager[str]]
) -> Iterator[str]:
    """A resource of all processes that name this directory, as the text that describes it.

    The first of them starts it, and ends it when no other uses it. Raises what `start` raises.
    """
    note = directory / name
    with (directory / f"{name}.users").open("w") as users, ExitStack() as started:
        with (directory / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for a resource that is about to end
            if note.exists():
                text = note.read_text()
            else:
                text = started.enter_context(start())
                note.write_text(text)
                started.callback(note.unlink)
                started.callback(fcntl.flock, users, fcntl.LOCK_EX)  # waits for other processes
        yield text


@contextmanager
def shared_broker(directory: Path, choose: Callable[[], Broker]) -> Iterator[Broker]:
    """The broker of all processes that name this directory. Raises `BrokerUnavailable`."""

    @contextmanager
    def start() -> Iterator[str]:
        broker = choose()
        broker.start()
        try:
            yield f"{broker.name}\n{broker.bootstrap_servers}"
        finally:
            broker.stop()

    with shared(directory, "broker", start) as text:
        yield SharedBroker(*text.split("\n"))
