"""What the pipeline promises, in both deliveries and on every broker that can be had: nothing lost,
order kept, offsets committed only behind what is done. The reader is a stub, the broker is real.
"""

import asyncio
import json
from typing import Any

import pytest

from schemas.question import Question
from tests.streaming.conftest import Running
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import Topics, event, until


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def numbered(records: list[Any]) -> list[str]:
    return [json.loads(record.value)["id"] for record in records]


async def test_every_question_is_answered_in_the_order_of_its_partition(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(200)], key=None)
    async with running(topics.settings, StubEngine()):

        async def all_there() -> bool:
            return len(await topics.ids()) >= 200

        await until(all_there, "200 answers")
    answers = await topics.answers()
    sources = [json.loads(record.value)["source"] for record in answers]
    assert sorted(numbered(answers)) == sorted(f"q-{n}" for n in range(200))
    for partition in range(topics.partitions):
        offsets = [s["offset"] for s in sources if s["partition"] == partition]
        assert offsets == sorted(offsets) == list(range(100))


async def test_only_the_contiguous_prefix_is_committed(topics: Topics, running: Running) -> None:
    await topics.send([event(n) for n in range(10)], partition=0)
    reader = StubEngine(holds=lambda q: q.question == "Who is number 4?")
    async with running(topics.settings, reader):

        async def four_committed() -> bool:
            return (await topics.committed())[0] == 4

        await until(four_committed, "offset 4 committed")
        await until(lambda: len(reader.seen) == 10, "all are read")
        # Six later ones are read, but none may overtake the one that is not.
        assert await topics.ids() == [f"q-{n}" for n in range(4)]
        assert (await topics.committed())[0] == 4
        reader.release_all()

        async def ten_committed() -> bool:
            return (await topics.committed())[0] == 10

        await until(ten_committed, "offset 10 committed")
    assert await topics.ids() == [f"q-{n}" for n in range(10)]


async def test_an_idle_partition_has_a_committed_offset(topics: Topics, running: Running) -> None:
    async with running(topics.settings, StubEngine()):

        async def both() -> bool:
            return await topics.committed() == {0: 0, 1: 0}

        await until(both, "both partitions committed at 0")


async def test_stopping_finishes_what_is_in_flight_and_commits_it(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(20)], partition=0)
    reader = StubEngine(holds=lambda _: True)
    async with running(topics.settings, reader) as pipeline:
        await until(lambda: len(reader.seen) == 20, "all are in flight")
        pipeline.stop.set()
        await until(lambda: not pipeline.health.ready, "draining")
        assert not pipeline.task.done()
        reader.release_all()
        await pipeline.task
    assert await topics.ids() == [f"q-{n}" for n in range(20)]
    assert (await topics.committed())[0] == 20


async def test_a_drain_that_cannot_finish_leaves_in_time_and_loses_nothing(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(6)], partition=0)
    stuck = StubEngine(holds=lambda q: q.question == "Who is number 3?")
    impatient = topics.with_(QA_DRAIN_SECONDS="0.5")
    async with running(impatient, stuck):
        await until(lambda: len(stuck.seen) == 6, "all are in flight")
    assert (await topics.committed())[0] == 3
    assert stuck.held["Who is number 3?"][1].cancelled()
    async with running(topics.settings, StubEngine()):

        async def all_there() -> bool:
            return (await topics.committed())[0] == 6

        await until(all_there, "the next worker reads the rest")
    assert await topics.ids() == [f"q-{n}" for n in range(6)]


async def test_bytes_in_flight_are_bounded(topics: Topics, running: Running) -> None:
    values = [event(n, metadata={"fill": "x" * 10_000}) for n in range(50)]
    await topics.send(values, partition=0)
    reader = StubEngine(holds=lambda _: True)
    # Room for five: while they are in flight the worker takes no sixth.
    bounded = topics.with_(QA_MAX_IN_FLIGHT_BYTES=str(5 * len(values[0]) + 100))
    async with running(bounded, reader):
        await until(lambda: len(reader.seen) == 5, "five are in flight")
        for released in range(5):
            reader.release(f"Who is number {released}?")
            await until(lambda n=released: len(reader.seen) == 6 + n, "one out, one in")  # type: ignore[misc]
        assert len(reader.held) == 5
        reader.release_all()

        async def all_there() -> bool:
            return len(await topics.ids()) == 50

        await until(all_there, "all answered")


async def test_a_flood_of_small_records_stays_within_the_tokens_in_flight(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(n) for n in range(3000)], partition=0)
    reader = StubEngine(holds=lambda _: True, tokens_each=10)
    bounded = topics.with_(QA_MAX_IN_FLIGHT_TOKENS="1000", KAFKA_MAX_POLL_RECORDS="50")
    async with running(bounded, reader):
        # The bound is looked at between polls, so one poll may go over it.
        await until(lambda: len(reader.held) >= 100, "as many as fit")
        reader.release("Who is number 0?")
        await until(lambda: len(reader.held) >= 100, "one out, more in")
        assert len(reader.held) <= 150
        reader.release_all()

        async def all_there() -> bool:
            return len(await topics.ids()) == 3000

        await until(all_there, "all answered")


@pytest.mark.parametrize("assignor", ["roundrobin", "range"])
async def test_a_second_worker_takes_over_half_without_loss_or_repetition(
    topics: Topics, running: Running, assignor: str
) -> None:
    settings = topics.with_(KAFKA_PARTITION_ASSIGNMENT_STRATEGY=assignor)
    first, second, enough = StubEngine(), StubEngine(), asyncio.Event()
    sending = asyncio.create_task(_send_until(topics, enough))
    async with running(settings, first):
        try:
            await until(lambda: len(first.seen) > 20, "the first works")
            async with running(settings, second):
                await until(lambda: len(second.seen) > 20, "the second works too")
            took = len(first.seen)
            await until(lambda: len(first.seen) > took + 20, "the first is alone again")
        finally:
            enough.set()
            sent = await sending

        async def all_committed() -> bool:
            return sum(offset or 0 for offset in (await topics.committed()).values()) == sent

        await until(all_committed, "everything is committed")
    # A rebalance drains and commits: not even a repetition, in a clean one.
    assert sorted(await topics.ids()) == sorted(f"q-{n}" for n in range(sent))


async def test_a_late_completion_for_a_lost_partition_counts_for_nothing(
    topics: Topics, running: Running
) -> None:
    await topics.send([event(0)], partition=0)
    stuck = StubEngine(holds=lambda _: True)
    impatient = topics.with_(QA_DRAIN_SECONDS="0.2")
    async with running(impatient, stuck):
        await until(lambda: len(stuck.seen) == 1, "in flight")
        other = StubEngine(holds=lambda _: True)
        async with running(impatient, other):
            # The rebalance gave up on the drain; whoever owns partition 0 now reads it again.
            await until(lambda: len(stuck.seen) + len(other.seen) == 2, "read again")
            assert await topics.ids() == []
            stuck.release_all()
            other.release_all()
            await until(lambda: topics.has(1), "one answer")
    assert await topics.ids() == ["q-0"]


async def test_a_session_that_breaks_is_replaced_and_repeats_only_what_was_not_published(
    topics: Topics, running: Running
) -> None:
    class Broken(StubEngine):
        failures = 2

        def submit(self, question: Question) -> Any:
            if question.question == "Who is number 1?" and self.failures:
                self.failures -= 1
                raise OSError("the device is gone")
            return super().submit(question)

    await topics.send([event(n) for n in range(3)], partition=0)
    async with running(topics.settings, Broken()):

        async def three_committed() -> bool:
            return (await topics.committed())[0] == 3

        await until(three_committed, "all are done in the end")
    assert await topics.ids() == ["q-0", "q-1", "q-2"]


async def _send_until(topics: Topics, enough: asyncio.Event) -> int:
    """Keep sending; how many it were."""
    sent = 0
    while not enough.is_set():
        await topics.send([event(n) for n in range(sent, sent + 10)], key=None)
        sent += 10
    return sent
