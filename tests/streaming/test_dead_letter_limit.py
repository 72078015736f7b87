"""DeadLetterLimit: alone against a naive model, then in a worker on a broker."""

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from schemas.rejection import REPLAY_OF, Reason
from tests.streaming.conftest import Running, RunningWorker
from tests.streaming.stub_engine import StubEngine
from tests.streaming.topics import PATIENCE, Topics, event, until
from worker.kafka.errors import StreamingError
from worker.streaming.dead_letter_limit import DeadLetterLimit

BAD = b"{"


@pytest.fixture(params=["exactly_once", "at_least_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@given(
    outcomes=st.lists(st.sampled_from([None, Reason.SCHEMA, Reason.NOT_JSON]), max_size=60),
    records=st.integers(1, 12),
    percent=st.integers(1, 99),
)
def test_the_limit_agrees_with_a_naive_count(
    outcomes: list[Reason | None], records: int, percent: int
) -> None:
    limit = DeadLetterLimit(records=records, ratio=percent / 100)
    for seen, outcome in enumerate(outcomes, start=1):
        last = outcomes[max(0, seen - records) : seen]
        rejected = [reason for reason in last if reason is not None]
        above = len(last) == records and 100 * len(rejected) > percent * records
        allowed, error = limit.check([outcome])
        limit.count(outcome)
        if outcome is None or not above:
            assert (allowed, error) == (1, None)
            continue
        assert allowed == 0
        said = re.match(r"(\d+) of the last (\d+) .* (\d+) of them as (\w+);", str(error))
        assert said is not None
        assert (int(said[1]), int(said[2])) == (len(rejected), records)
        assert int(said[3]) == rejected.count(Reason(said[4])) == max(map(rejected.count, rejected))


@given(
    delivered=st.lists(st.sampled_from([None, Reason.SCHEMA]), max_size=20),
    batch=st.lists(st.sampled_from([None, Reason.SCHEMA]), max_size=20),
    records=st.integers(1, 12),
)
def test_a_batch_is_checked_like_its_records_one_by_one(
    delivered: list[Reason | None], batch: list[Reason | None], records: int
) -> None:
    limit, one_by_one = (DeadLetterLimit(records=records, ratio=0.5) for _ in range(2))
    for outcome in delivered:
        limit.count(outcome)
        one_by_one.count(outcome)
    expected = 0
    for outcome in batch:
        if one_by_one.check([outcome])[1] is not None:
            break
        one_by_one.count(outcome)
        expected += 1
    allowed, error = limit.check(batch)
    assert (allowed, error is None) == (expected, expected == len(batch))


def test_the_error_is_one_line_that_names_the_settings() -> None:
    limit = DeadLetterLimit(records=10, ratio=0.7)
    for reason in (None, None, *[Reason.SCHEMA] * 5, *[Reason.NOT_JSON] * 2):
        limit.count(reason)
    _, error = limit.check([Reason.SCHEMA])
    assert str(error) == (
        "8 of the last 10 records were rejected, 6 of them as schema; the remaining records stay "
        "in the topic. Correct the questions or the settings, or see QA_DEAD_LETTER_LIMIT_RECORDS "
        "(10; 0: no limit) and QA_DEAD_LETTER_LIMIT_RATIO (0.7)"
    )


def test_the_ratio_is_a_metric() -> None:
    limit = DeadLetterLimit(records=4, ratio=0.9)
    shares = []
    for reason in (Reason.SCHEMA, None, Reason.SCHEMA, Reason.SCHEMA, None):
        limit.count(reason)
        shares.append(REGISTRY.get_sample_value("qa_rejection_ratio"))
    assert shares == [0.25, 0.25, 0.5, 0.75, 0.5]


def test_a_limit_of_0_records_never_stops() -> None:
    limit = DeadLetterLimit(records=0, ratio=0.1)
    for _ in range(1000):
        assert limit.check([Reason.INTERNAL_ERROR]) == (1, None)
        limit.count(Reason.INTERNAL_ERROR)


async def test_a_run_of_rejections_stops_the_worker(topics: Topics, running: Running) -> None:
    await topics.send([event(0), event(1), *[BAD] * 40], partition=0)
    settings = topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10")
    with pytest.raises(
        StreamingError, match=r"^10 of the last 10 .* not_json; .*QA_DEAD_LETTER_LIMIT_RATIO"
    ):
        async with running(settings, StubEngine()) as pipeline:
            await _ended(pipeline)
    # Nine rejections of ten are not above the ratio; the tenth, at offset 11, is.
    assert await topics.ids() == ["q-0", "q-1"]
    letters = await topics.dead_letters()
    assert [dict(letter.headers)["__connect.errors.offset"] for letter in letters] == [
        b"%d" % offset for offset in range(2, 11)
    ]
    # The start after that lets as many through as the circuit limit needs to see.
    assert (await topics.committed())[0] == 11
    with pytest.raises(StreamingError, match="10 of the last 10"):
        async with running(settings, StubEngine()) as pipeline:
            await _ended(pipeline)
    assert len(await topics.dead_letters()) == 18
    assert (await topics.committed())[0] == 20


async def test_the_limit_spans_partitions_and_sessions(topics: Topics, running: Running) -> None:
    class BreaksOnce(StubEngine):
        broken = False

        def submit(self, event: Any) -> Any:
            if not self.broken:
                self.broken = True
                raise OSError("the device is gone")
            return super().submit(event)

    reader = BreaksOnce()
    settings = topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10", QA_DEAD_LETTER_LIMIT_RATIO="0.7")
    await topics.send([BAD] * 8)

    async def work() -> None:
        async with running(settings, reader) as pipeline:
            await topics.committed_are({0: 4, 1: 4})
            await topics.send([event(1)], partition=0)
            await until(lambda: reader.broken, "the session breaks")
            await topics.committed_are({0: 5, 1: 4})
            await topics.send([BAD], partition=0)
            await _ended(pipeline)

    with pytest.raises(StreamingError, match="9 of the last 10"):
        await work()
    assert len(await topics.dead_letters()) == 8


async def test_rejections_among_answers_do_not_stop_the_worker(
    topics: Topics, running: Running
) -> None:
    # Bad ones are done before the reader has answered anything; still their share is a half.
    await topics.send([BAD if n % 2 else event(n) for n in range(80)], partition=0)
    reader = StubEngine(holds=lambda _: True)
    async with running(topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10"), reader) as pipeline:
        await until(lambda: len(reader.seen) == 40, "all that can be read is in flight")
        reader.release_all()
        await topics.committed_are({0: 80, 1: 0})
        assert not pipeline.task.done()
    assert (len(await topics.answers()), len(await topics.dead_letters())) == (40, 40)


async def test_replayed_questions_do_not_stop_the_worker(topics: Topics, running: Running) -> None:
    await topics.send([BAD] * 30, partition=0, headers=[(REPLAY_OF, b"dead-0-0")])
    async with running(topics.with_(QA_DEAD_LETTER_LIMIT_RECORDS="10"), StubEngine()):
        await topics.committed_are({0: 30, 1: 0})
    assert len(await topics.dead_letters()) == 30


async def _ended(pipeline: RunningWorker) -> None:
    """Leaving `running` raises what it ended with."""
    done, _ = await asyncio.wait([pipeline.task], timeout=PATIENCE)
    assert done
