"""Runs commands in the test's process and captures stdout, stderr and the exit code."""

import asyncio
import io
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.brokers.protocol import Broker
from tests.forked import Done
from tests.inference.bundles import WORDS, bert_tokenizer, write_bundle
from tests.streaming.topics import Topics
from worker.cli import main

KNOWN = bert_tokenizer(list(WORDS))
"""A tokenizer for the tiny model without the word on which that model raises."""


class Command(Protocol):
    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Done: ...


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes all settings of the worker from the environment."""
    for name in list(os.environ):
        if name.startswith(("QA_", "KAFKA_", "SCHEMA_REGISTRY_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _same_handlers() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers = before


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    def run(*arguments: str | Path, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`QA_MODEL` is a model of a few bytes that answers with the word "answer"."""
    directory = write_bundle(tmp_path / "tiny")
    monkeypatch.setenv("QA_MODEL", str(directory))
    monkeypatch.setenv("QA_MAX_QUESTION_TOKENS", "16")
    return directory


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port without a listener. `KAFKA_BOOTSTRAP_SERVERS` names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
    return port


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Like `tiny_model`, with a vocabulary that lacks the word on which the model raises."""
    directory = write_bundle(tmp_path / "tiny", tokenizer=KNOWN)
    monkeypatch.setenv("QA_MODEL", str(directory))
    return directory


@pytest.fixture
def topics(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """In the environment of the command."""
    own = Topics(broker.bootstrap_servers)
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    asyncio.run(own.create())
    return own
