"""Every failpoint names an existing function, and passing it has its effect."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from tests.faults import failpoints, patching
from tests.faults.failpoints import DELIVER, OPEN, POINTS, UNOPENABLE
from worker.streaming.delivery.at_least_once import AtLeastOncePartition
from worker.streaming.delivery.exactly_once import ExactlyOncePartition
from worker.streaming.session import KafkaSession

EVERY_TARGET = sorted({t for ps in POINTS.values() for p in ps.values() for t in p.targets})


@pytest.fixture(autouse=True)
def unpatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting the original value makes monkeypatch restore it after the test."""
    for target in [*EVERY_TARGET, *DELIVER, OPEN]:
        owner, name = patching.find(target)
        monkeypatch.setattr(owner, name, getattr(owner, name))


@pytest.mark.parametrize("target", EVERY_TARGET)
def test_every_failpoint_names_an_existing_function(target: str) -> None:
    owner, name = patching.find(target)
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    "missing",
    [
        "worker.kafka.producer:IdempotentProducer.gone",
        "worker.gone:f",
        "worker.kafka.producer:Gone.f",
    ],
)
def test_missing_function_fails_immediately(missing: str) -> None:
    with pytest.raises((AttributeError, ImportError)):
        patching.wrap(missing)


def test_unknown_failpoint_fails_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoints.FAILPOINT, "nowhere:1:SIGKILL")
    with pytest.raises(KeyError):
        failpoints.arm("at_least_once")


async def test_wrap_works_for_functions_and_coroutines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []

    class Target:
        def plain(self, value: int) -> None:
            calls.append(value)

        async def waits(self, value: int) -> None:
            calls.append(value)

    monkeypatch.setattr(failpoints, "Target", Target, raising=False)
    for name in ("plain", "waits"):
        patching.wrap(
            f"tests.faults.failpoints:Target.{name}",
            before=lambda *_: calls.append("before"),
            after=lambda *_: calls.append("after"),
        )
    Target().plain(1)
    await Target().waits(2)

    assert calls == ["before", 1, "after", "before", 2, "after"]


@pytest.mark.process
def test_process_dies_at_the_named_passage() -> None:
    program = (
        "from tests.faults import failpoints\n"
        "from tests.faults.stub import Stub\n"
        "from schemas.question import Question\n"
        "failpoints.arm('at_least_once')\n"
        "stub = Stub()\n"
        "for number in range(9):\n"
        "    print(number, flush=True)\n"
        "    stub.submit(Question(question='Who?', context='Ada.'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, failpoints.FAILPOINT: "batch:3:SIGKILL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.split()) == (-9, ["0", "1", "2"])


async def test_only_requests_of_the_named_class_count(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    count = failpoints._at_passage(2, "int", signal.SIGKILL)
    for argument in ("other", 1, "other", 2, 3):
        assert killed == ([] if argument != 3 else [os.getpid()])
        count(argument)
    assert killed == [os.getpid()]


@pytest.mark.parametrize("delivery", [AtLeastOncePartition, ExactlyOncePartition])
async def test_session_fails_at_a_delivery_and_at_reopening(
    monkeypatch: pytest.MonkeyPatch, delivery: Any
) -> None:
    async def done(self: object) -> None:
        pass

    monkeypatch.setattr(delivery, "deliver", done)
    monkeypatch.setattr(KafkaSession, "open", done)
    monkeypatch.setenv(UNOPENABLE, "2:1")
    failpoints.arm("at_least_once")
    partition: Any = object.__new__(delivery)
    session = object.__new__(KafkaSession)

    await session.open()
    await partition.deliver()
    for _ in range(5):
        with pytest.raises(KafkaError, match="broken"):
            await partition.deliver()
    with pytest.raises(KafkaError, match="prevented from opening"):
        await session.open()
    await session.open()
    await partition.deliver()
