"""That every point is still there in the worker, and that passing it does what it should."""

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
    """What a test patches is as before after it: setting the same value notes the old one."""
    for target in [*EVERY_TARGET, *DELIVER, OPEN]:
        owner, name = patching.find(target)
        monkeypatch.setattr(owner, name, getattr(owner, name))


@pytest.mark.parametrize("target", EVERY_TARGET)
def test_every_point_names_a_function_that_is_there(target: str) -> None:
    owner, name = patching.find(target)
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    "gone",
    [
        "worker.kafka.producer:IdempotentProducer.gone",
        "worker.gone:f",
        "worker.kafka.producer:Gone.f",
    ],
)
def test_a_name_that_is_gone_fails_at_once(gone: str) -> None:
    with pytest.raises((AttributeError, ImportError)):
        patching.wrap(gone)


def test_an_unknown_point_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(failpoints.FAILPOINT, "nowhere:1:SIGKILL")
    with pytest.raises(KeyError):
        failpoints.arm("at_least_once")


async def test_before_and_after_are_called_around_coroutines_and_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[object] = []

    class Victim:
        def plain(self, value: int) -> None:
            said.append(value)

        async def waits(self, value: int) -> None:
            said.append(value)

    monkeypatch.setattr(failpoints, "Victim", Victim, raising=False)
    for name in ("plain", "waits"):
        patching.wrap(
            f"tests.faults.failpoints:Victim.{name}",
            before=lambda *_: said.append("before"),
            after=lambda *_: said.append("after"),
        )
    Victim().plain(1)
    await Victim().waits(2)

    assert said == ["before", 1, "after", "before", 2, "after"]


@pytest.mark.process
def test_a_process_dies_at_exactly_that_passage() -> None:
    dying = (
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
        [sys.executable, "-c", dying],
        env={**os.environ, failpoints.FAILPOINT: "batch:3:SIGKILL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.split()) == (-9, ["0", "1", "2"])


async def test_only_requests_of_the_named_kind_count(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    count = failpoints._at_passage(2, "int", signal.SIGKILL)
    for argument in ("other", 1, "other", 2, 3):
        assert killed == ([] if argument != 3 else [os.getpid()])
        count(argument)
    assert killed == [os.getpid()]


@pytest.mark.parametrize("way", [AtLeastOncePartition, ExactlyOncePartition])
async def test_a_session_breaks_at_its_delivery_and_is_kept_from_opening(
    monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    async def done(self: object) -> None:
        pass

    monkeypatch.setattr(way, "deliver", done)
    monkeypatch.setattr(KafkaSession, "open", done)
    monkeypatch.setenv(UNOPENABLE, "2:1")
    failpoints.arm("at_least_once")
    partition: Any = object.__new__(way)
    session = object.__new__(KafkaSession)

    await session.open()
    await partition.deliver()
    for _ in range(5):
        with pytest.raises(KafkaError, match="broken"):
            await partition.deliver()
    with pytest.raises(KafkaError, match="kept from opening"):
        await session.open()
    await session.open()
    await partition.deliver()
