"""Backpressure: bounds on what is in flight, and waiting until there is room."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from worker.streaming.backpressure import InFlightLimiter


def bounded(tokens: Callable[[], int] = lambda: 0) -> InFlightLimiter:
    return InFlightLimiter(max_bytes=100, max_tokens=50, tokens=tokens)


def test_a_single_record_fits_whatever_its_size() -> None:
    assert bounded(lambda: 10**9).has_room(10**9)


def test_bytes_fit_up_to_their_bound() -> None:
    in_flight = bounded()
    in_flight.enter(60)
    assert in_flight.has_room(40)
    assert not in_flight.has_room(41)


def test_tokens_stop_at_their_bound() -> None:
    waiting = [49]
    in_flight = bounded(lambda: waiting[0])
    in_flight.enter(1)
    assert in_flight.has_room()
    waiting[0] = 50
    assert not in_flight.has_room()


@given(st.lists(st.integers(0, 40), max_size=30))
@settings(max_examples=50, deadline=None)
def test_what_left_weighs_nothing(sizes: list[int]) -> None:
    in_flight = bounded()
    for size in sizes:
        in_flight.enter(size)
    assert (in_flight.records, in_flight.bytes) == (len(sizes), sum(sizes))
    for size in reversed(sizes):
        in_flight.leave(size)
    assert (in_flight.records, in_flight.bytes) == (0, 0)


async def waits(task: asyncio.Task[None]) -> bool:
    """Whether the task still waits once everybody has had a turn."""
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_waiting_ends_when_there_is_room_and_not_before() -> None:
    in_flight = bounded()
    in_flight.enter(80)
    in_flight.enter(20)
    waiting = asyncio.create_task(in_flight.room(50))
    assert await waits(waiting)
    in_flight.leave(20)
    assert await waits(waiting)
    in_flight.leave(80)
    await asyncio.wait_for(waiting, 10)


async def test_every_waiter_is_woken() -> None:
    in_flight = bounded()
    in_flight.enter(100)
    waiters = [asyncio.create_task(in_flight.room(10)) for _ in range(3)]
    assert await waits(waiters[0])
    in_flight.leave(100)
    await asyncio.wait_for(asyncio.gather(*waiters), 10)


async def test_room_that_is_there_is_not_waited_for() -> None:
    waiting = asyncio.create_task(bounded().room(10))
    assert not await waits(waiting)


@pytest.mark.parametrize(
    ("metric", "expected"), [("qa_in_flight_records", 2), ("qa_in_flight_bytes", 70)]
)
def test_the_metrics_say_what_is_in_flight(metric: str, expected: int) -> None:
    in_flight = bounded()
    for size in (30, 40, 50):
        in_flight.enter(size)
    in_flight.leave(50)
    assert REGISTRY.get_sample_value(metric) == expected
    in_flight.leave(30)
    in_flight.leave(40)
    assert REGISTRY.get_sample_value(metric) == 0
