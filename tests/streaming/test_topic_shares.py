"""How several questions topics share the tokens in flight."""

import asyncio

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from tests.streaming.fakes import FakeDelivery, assignment, limiter, record
from tests.streaming.stub_engine import StubEngine
from tests.streaming.test_backpressure import Load
from tests.streaming.test_poller import FakeConsumer, poller_of, polling
from tests.streaming.topics import until
from worker.inference.fair_shares import FairShares
from worker.streaming.backpressure import InFlightLimiter

WEIGHTS = {"interactive": 8, "batch": 1}
INTERACTIVE, BATCH = (TopicPartition(topic, 0) for topic in WEIGHTS)


def bound(
    load: Load, *, limit: int = 1000, weights: dict[str, int] | None = None
) -> InFlightLimiter:
    return InFlightLimiter(
        load, max_bytes=10**9, max_tokens=limit, max_seconds=10**9, weights=weights or WEIGHTS
    )


MANY = 10_000
"""More records than any limit of these tests admits."""


def fill(load: Load, topics: InFlightLimiter, topic: str, tokens: int = 1) -> None:
    for _ in range(MANY):
        if not topics.admits(topic):
            return
        load.add(topic, tokens)
    raise AssertionError(f"{topic} is admitted without a bound")


async def test_one_topic_is_bounded_by_all_tokens_alone() -> None:
    load = Load()
    for weights in (None, {"qa.questions": 3}):
        topics = InFlightLimiter(
            load, max_bytes=10**9, max_tokens=50, max_seconds=10**9, weights=weights
        )
        load.pending_tokens = 10**9
        assert topics.admits("qa.questions")
        topics.acquire(1)
        assert not topics.has_capacity()


async def test_a_topic_alone_leaves_half_of_the_tokens_to_others() -> None:
    load = Load()
    topics = bound(load)
    fill(load, topics, "batch")
    assert load.by_queue["batch"] == 500
    assert topics.admits("interactive")


async def test_two_backlogs_hold_tokens_in_proportion_to_their_weights() -> None:
    load = Load()
    topics = bound(load)
    shares = FairShares(WEIGHTS)
    for _ in range(3000):
        for topic in WEIGHTS:
            fill(load, topics, topic)
        served = shares.choose(WEIGHTS)
        assert served is not None
        shares.charge(served, 1)
        load.add(served, -1)
    assert abs(load.by_queue["interactive"] - 800) <= 10
    assert abs(load.by_queue["batch"] - 100) <= 10


async def test_the_threads_are_busy_with_any_one_topic() -> None:
    """Its half of the tokens is what keeps them busy, however slow the engine is."""
    load = Load(tokens_per_second=1e-9)
    topics = bound(load)
    fill(load, topics, "batch")
    assert load.by_queue["batch"] >= load.min_pending_tokens


async def test_a_huge_record_does_not_stop_the_other_topic() -> None:
    load = Load()
    topics = bound(load)
    load.add("batch", 10**6)
    assert topics.admits("interactive")
    assert not topics.admits("batch")


@given(
    weights=st.lists(st.integers(1, 1000), min_size=2, max_size=5),
    steps=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=300),
)
def test_tokens_are_bounded_and_one_that_has_none_is_admitted(
    weights: list[int], steps: list[tuple[int, bool]]
) -> None:
    async def play() -> None:
        load = Load()
        topics = bound(load, weights={str(n): weight for n, weight in enumerate(weights)})
        largest = 37
        for number, adds in steps:
            topic = str(number % len(weights))
            if adds and topics.admits(topic):
                load.add(topic, largest)
            elif not adds and load.by_queue[topic]:
                load.add(topic, -largest)
            assert load.pending_tokens <= 1000 + largest * len(weights)
            for each in range(len(weights)):
                if not load.by_queue[str(each)]:
                    assert topics.admits(str(each))

    asyncio.run(play())


async def test_two_floods_are_admitted_as_the_engine_serves_them() -> None:
    engine, delivery = StubEngine(holds=lambda _: True, tokens_each=10), FakeDelivery()
    shared = limiter(engine, max_tokens=1000, weights=WEIGHTS)
    engine.on_progress = shared.engine_progressed
    assigned = assignment(engine, delivery, shared)
    assigned.on_assigned([INTERACTIVE, BATCH])
    consumer = FakeConsumer(*(record(n, BATCH, _value("b", n)) for n in range(500)))
    served: list[str] = []

    async def serve(count: int) -> None:
        """The engine finishes records by weight, one at a time, and the poller refills it."""
        shares = FairShares(WEIGHTS)
        for _ in range(count):
            queue = shares.choose(sorted({engine.queues[name] for name in engine.held}))
            assert queue is not None
            shares.charge(queue, 10)
            engine.release(next(name for name in engine.held if engine.queues[name] == queue))
            engine.on_progress and engine.on_progress()
            served.append(queue)
            for _ in range(20):
                await asyncio.sleep(0)

    async with polling(poller_of(consumer, assigned, shared), assigned):
        await until(lambda: len(engine.held) == 50, "the flood holds half of the tokens")
        for number in range(1000):
            consumer.fetch(record(number, INTERACTIVE, _value("i", number)))
        await until(lambda: engine.pending_tokens_of("interactive") == 450, "the other gets more")
        assert engine.pending_tokens_of("batch") == 500
        await serve(600)
        assert 790 <= engine.pending_tokens_of("interactive") <= 810
        assert 90 <= engine.pending_tokens_of("batch") <= 110
        assert 0.87 < served.count("interactive") / len(served) < 0.91
        engine.release_all()
        await until(lambda: len(delivery.published) == 1500, "all are delivered")
    assert delivery.offsets(BATCH) == list(range(500))
    assert delivery.offsets(INTERACTIVE) == list(range(1000))


def _value(name: str, number: int) -> bytes:
    return b'{"question": "%s-%d", "context": "c"}' % (name.encode(), number)


@pytest.mark.parametrize("engine_is_busy", [True, False])
async def test_tokens_of_several_topics_do_not_stop_the_poller(*, engine_is_busy: bool) -> None:
    load = Load(pending_tokens=10**9 if engine_is_busy else 0)
    topics = bound(load)
    topics.acquire(1)
    assert topics.has_capacity()
