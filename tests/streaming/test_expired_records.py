"""Expired questions on a broker. A question that is read again may get another outcome than before:
the committed one is seen.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from schemas.expiry import HEADER
from schemas.rejection import Reason
from tests.dead_letters.records import replay, replays
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until
from worker.dead_letters.dead_letter import DeadLetterFilter
from worker.kafka.transactions import TransactionalProducer
from worker.streaming import session
from worker.streaming.deadlines import DeadlinePolicy

PAST, FUTURE = "2020-01-01T00:00:00Z", "9999-01-01T00:00:00Z"
DEADLINE = 2_000_000_000.0
EARLY, LATE = DEADLINE - 60, DEADLINE + 60


class Clock:
    """Unix time as the worker reads it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def reasons(dead_letters: Sequence[Any]) -> list[bytes | None]:
    return [dict(each.headers)["qa.reason"] for each in dead_letters]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize(("mode", "dead"), [("dead_letter", 4), ("drop", 0), ("answer", 0)])
async def test_every_expired_record_is_committed(
    topics: Topics, running: Running, mode: str, dead: int
) -> None:
    await topics.send([event(n, expires_at=(PAST, FUTURE)[n % 2]) for n in range(4)], partition=0)
    # A partition of which every record is dropped.
    await topics.send([event(4), event(5)], partition=1, headers=[(HEADER, PAST.encode())])
    async with running(topics.with_(QA_EXPIRED=mode), StubEngine()):
        await topics.committed_are({0: 4, 1: 2})
        await topics.send([event(6)], partition=1)
        await topics.committed_are({0: 4, 1: 3})
    answered = {f"q-{n}" for n in (range(7) if mode == "answer" else (1, 3, 6))}
    assert set(await topics.ids()) == answered
    assert reasons(await topics.dead_letters()) == [b"expired"] * dead


@pytest.mark.parametrize(
    ("first", "second", "outcome"), [(EARLY, LATE, "expired"), (LATE, EARLY, "answered")]
)
@pytest.mark.parametrize("mode", ["dead_letter", "drop"])
async def test_the_outcome_of_an_aborted_transaction_is_not_seen(
    topics: Topics,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    first: float,
    second: float,
    outcome: str,
) -> None:
    clock, decided = Clock(first), []
    monkeypatch.setattr(session, "DeadlinePolicy", partial(DeadlinePolicy, clock=clock))
    end = TransactionalProducer._end

    async def fail_once(producer: TransactionalProducer) -> None:
        """Outcome and offset were sent; time passes, and the transaction does not commit."""
        decided.append(clock.now)
        if clock.now == first:
            clock.now = second
            raise TimeoutError
        await end(producer)

    deadline = datetime.fromtimestamp(DEADLINE, UTC).isoformat()
    async with running(topics.with_(QA_EXPIRED=mode), StubEngine()):
        await topics.committed_are({0: 0, 1: 0})
        monkeypatch.setattr(TransactionalProducer, "_end", fail_once)
        await topics.send([event(0, expires_at=deadline)], partition=0)
        await topics.committed_are({0: 1, 1: 0})
    assert decided[:2] == [first, second]
    is_answered = outcome == "answered"
    assert await topics.ids() == ["q-0"] * is_answered
    dead = reasons(await topics.dead_letters())
    assert dead == [b"expired"] * (not is_answered and mode == "dead_letter")


async def replays_of(topics: Topics) -> list[bytes | None]:
    """The reasons of the dead letters that were replayed."""
    name = topics.settings.qa.dead_letters_topic
    dead = await topics.records(name)
    replayed = await replays(topics)
    return reasons([each for each in dead if f"{name}-{each.partition}-{each.offset}" in replayed])


async def test_a_replayed_expired_question_is_answered(topics: Topics, running: Running) -> None:
    await topics.send([event(0, expires_at=PAST), b"{"], partition=0)
    async with running(topics.with_(QA_MAX_AGE_SECONDS="0.001"), StubEngine()):
        await topics.committed_are({0: 2, 1: 0})
        await replay(topics)
        assert await replays_of(topics) == [b"not_json"]
        await replay(topics, DeadLetterFilter(reasons=frozenset({Reason.EXPIRED})))
        await until(lambda: topics.has(1), "the answer")
    assert await topics.ids() == ["q-0"]
