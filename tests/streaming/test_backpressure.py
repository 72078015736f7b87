"""Backpressure: bounds on what is in flight, and waiting for capacity."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from tests.examples import examples
from tests.streaming.fakes import settings
from worker.streaming.backpressure import MAX_RECORDS, InFlightLimiter


@dataclass
class Load:
    """An engine that finishes 10 tokens a second and needs 20 to be busy."""

    pending_tokens: int = 0
    by_queue: Counter[str] = field(default_factory=Counter)
    tokens_per_second: float = 10.0
    min_pending_tokens: int = 20

    def pending_tokens_of(self, queue: str) -> int:
        return self.by_queue[queue]

    def add(self, queue: str, tokens: int) -> None:
        self.by_queue[queue] += tokens
        self.pending_tokens += tokens


def limiter(load: Load | None = None, *, max_seconds: float = 1000.0) -> InFlightLimiter:
    return InFlightLimiter(load or Load(), max_bytes=100, max_tokens=50, max_seconds=max_seconds)


async def test_a_single_record_of_any_size_has_capacity() -> None:
    assert limiter(Load(pending_tokens=10**9)).has_capacity(10**9)


async def test_bytes_in_flight_are_bounded() -> None:
    bound = limiter()
    bound.acquire(60)
    assert bound.has_capacity(40)
    assert not bound.has_capacity(41)


async def test_records_in_flight_are_bounded() -> None:
    """Repeated questions have no tokens, and may have few bytes."""
    bound = limiter()
    for _ in range(MAX_RECORDS // 2 - 1):
        bound.acquire(0)
    assert bound.within_share(0, held=0, records=MAX_RECORDS // 2 - 1)
    bound.acquire(0)
    # One partition holds half of them: the others have the rest.
    assert not bound.within_share(0, held=0, records=MAX_RECORDS // 2)
    assert bound.within_share(0, held=0, records=1)
    for _ in range(MAX_RECORDS // 2):
        assert bound.has_capacity()
        bound.acquire(0)
    assert not bound.has_capacity()


def test_small_questions_are_bounded_by_their_tokens() -> None:
    tokens, threads, window = 12, 16, 512
    defaults = settings().qa
    assert defaults.max_in_flight_tokens < MAX_RECORDS * tokens
    # With a larger bound of tokens, the threads have enough to do.
    assert MAX_RECORDS * tokens > 7 * 2 * threads * window


async def test_pending_tokens_are_bounded() -> None:
    load = Load(pending_tokens=49)
    bound = limiter(load)
    bound.acquire(1)
    assert bound.has_capacity()
    load.pending_tokens = 50
    assert not bound.has_capacity()


@pytest.mark.parametrize(
    ("seconds", "rate", "expected"),
    [
        (3, 10, 30),  # as many tokens as the engine finishes in this time
        (1, 10, 20),  # enough to keep it busy
        (1000, 10, 50),  # never more than the bound of tokens
        (3, 0, 20),  # before it has measured anything
    ],
)
async def test_pending_tokens_are_bounded_in_seconds(
    seconds: float, rate: float, expected: int
) -> None:
    load = Load(pending_tokens=expected - 1, tokens_per_second=rate)
    bound = limiter(load, max_seconds=seconds)
    bound.acquire(1)
    assert bound.has_capacity()
    load.pending_tokens = expected
    assert not bound.has_capacity()


@given(st.lists(st.integers(0, 40), max_size=30))
@examples(50)
def test_released_records_free_capacity(sizes: list[int]) -> None:
    async def acquire_and_release() -> None:
        bound = limiter()
        for size in sizes:
            bound.acquire(size)
        assert (bound.records, bound.bytes) == (len(sizes), sum(sizes))
        for size in reversed(sizes):
            bound.release(size)
        assert (bound.records, bound.bytes) == (0, 0)

    asyncio.run(acquire_and_release())


async def waits(task: asyncio.Task[Any]) -> bool:
    """Whether the task still waits after several turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_wait_ends_only_with_capacity() -> None:
    load = Load(pending_tokens=50)
    bound = limiter(load)
    bound.acquire(80)
    bound.acquire(20)
    waiting = asyncio.create_task(bound.wait_for_capacity())
    assert await waits(waiting)
    bound.release(20)
    assert await waits(waiting)
    load.pending_tokens = 0
    bound.engine_progressed()
    assert await asyncio.wait_for(waiting, 10), "it took time"


async def test_wait_returns_immediately_with_capacity() -> None:
    waiting = asyncio.create_task(limiter().wait_for_capacity())
    assert not await waits(waiting)
    assert not waiting.result()


async def test_a_change_before_the_wait_is_not_missed() -> None:
    bound = limiter()
    bound.acquire(10)
    bound.release(10)
    await asyncio.wait_for(bound.wait_for_change(), 10)
    assert await waits(asyncio.create_task(bound.wait_for_change()))


async def test_a_partition_leaves_bytes_to_the_others() -> None:
    # It holds all that is in flight, and may hold half of the 100 bytes.
    bound = limiter()
    bound.acquire(40)
    assert bound.within_share(20, held=40, records=1)
    assert not bound.within_share(21, held=40, records=1)
    # Another partition's first record may take what is left; no record is too large to be alone.
    assert bound.within_share(10**9, held=0, records=0)
    assert bound.has_capacity(60)


async def test_engine_progress_wakes_the_waiters() -> None:
    load = Load(pending_tokens=50)
    bound = limiter(load)
    bound.acquire(1)
    waiting = asyncio.create_task(bound.wait_for_capacity())
    assert await waits(waiting)
    load.pending_tokens = 0
    engine = threading.Thread(target=bound.engine_progressed)
    engine.start()
    await asyncio.wait_for(waiting, 10)
    engine.join()


@pytest.mark.parametrize(
    ("metric", "expected"), [("qa_in_flight_records", 2), ("qa_in_flight_bytes", 70)]
)
async def test_metrics_of_records_and_bytes_in_flight(metric: str, expected: int) -> None:
    bound = limiter()
    for size in (30, 40, 50):
        bound.acquire(size)
    bound.release(50)
    assert REGISTRY.get_sample_value(metric) == expected
    bound.release(30)
    bound.release(40)
    assert REGISTRY.get_sample_value(metric) == 0
