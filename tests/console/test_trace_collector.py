"""What the console makes of journeys."""

import time

from worker.console.sampler import Latencies
from worker.console.trace_collector import MARK, TraceCollector, batches, stages
from worker.observability.record_trace import (
    ANSWERED,
    DROPPED,
    BatchTiming,
    Header,
    RecordTrace,
    StageTiming,
    TraceDispatcher,
)

SENT = 1_700_000_000_000_000_000
MS = 1_000_000


def journey(taken: int = SENT + 10 * MS) -> RecordTrace:
    return RecordTrace("q", 0, 7, [], taken=taken)


def a_whole_one() -> RecordTrace:
    """Every stage a millisecond after the one before; each takes two."""
    one, other = journey(), journey()
    one.steps = [
        StageTiming("decode", SENT + 11 * MS, SENT + 13 * MS),
        StageTiming("encode", SENT + 14 * MS, SENT + 16 * MS),
        StageTiming("spans", SENT + 24 * MS, SENT + 26 * MS),
        StageTiming("publish", SENT + 27 * MS, SENT + 29 * MS),
    ]
    one.runs = [
        BatchTiming(SENT + 20 * MS, SENT + 23 * MS, 1, 80, [one]),
        BatchTiming(SENT + 17 * MS, SENT + 19 * MS, 3, 512, [one, other]),
    ]
    one.ended = SENT + 30 * MS
    return one


def test_the_stages_of_a_journey_follow_each_other_without_a_gap() -> None:
    made = stages(a_whole_one(), SENT)
    assert made == [
        ("queue", 0, 10, 10),
        ("decode", 10, 11, 13),
        ("encode", 13, 14, 16),
        ("run", 16, 17, 23),
        ("spans", 23, 24, 26),
        ("publish", 26, 27, 29),
        ("commit", 29, 29, 30),
    ]


def test_micro_batches_come_in_the_order_in_which_they_ran() -> None:
    assert batches(a_whole_one(), SENT) == [(17, 19, 3, 2, 512), (20, 23, 1, 1, 80)]


def test_a_record_that_was_rejected_early_has_no_more_than_it_went_through() -> None:
    rejected = journey()
    rejected.steps = [StageTiming("publish", SENT + 12 * MS, SENT + 13 * MS)]
    rejected.ended = SENT + 13 * MS
    assert stages(rejected, SENT) == [
        ("queue", 0, 10, 10),
        ("publish", 10, 12, 13),
        ("commit", 13, 13, 13),
    ]


def test_no_stage_ends_before_it_begins_though_the_clock_was_set_back() -> None:
    one = a_whole_one()
    one.steps[1] = StageTiming("encode", SENT - 500 * MS, SENT - 400 * MS)
    one.ended = SENT
    made = stages(one, SENT)
    assert all(stage.since <= stage.began <= stage.ended for stage in made)
    assert [stage.since for stage in made[1:]] == [stage.ended for stage in made[:-1]]


async def test_a_question_that_was_asked_here_is_known_by_its_mark() -> None:
    following = TraceCollector(Latencies(time.monotonic))
    journeys = TraceDispatcher(following)
    with following.asking(b"mine") as asked:
        others = begin(journeys, [(MARK, b"another"), ("x", None)])
        assert not asked.seen
        mine = begin(journeys, [("x", b"y"), (MARK, b"mine")])
        assert asked.seen
        journeys.end(others, ANSWERED)
        assert not asked.journey.done()
        journeys.end(mine, ANSWERED)
        assert asked.journey.result() is mine
    assert not following._asked


async def test_a_journey_that_was_dropped_goes_on_with_the_next() -> None:
    following = TraceCollector(latencies := Latencies(time.monotonic))
    journeys = TraceDispatcher(following)
    with following.asking(b"mine") as asked:
        journeys.end(begin(journeys, [(MARK, b"mine")]), DROPPED)
        assert (asked.dropped, asked.journey.done()) == (1, False)
        assert latencies.quantiles(0.5) == [None]
        journeys.end(begin(journeys, [(MARK, b"mine")]), "schema")
        assert asked.journey.result().outcome == "schema"


def test_the_latency_of_every_record_counts() -> None:
    following = TraceCollector(latencies := Latencies(time.monotonic))
    journeys = TraceDispatcher(following)
    one = begin(journeys, [])
    one.taken -= 250 * MS
    journeys.end(one, ANSWERED)
    (latency,) = latencies.quantiles(0.5)
    assert latency is not None
    assert 250 <= latency < 260


def begin(journeys: TraceDispatcher, headers: list[Header]) -> RecordTrace:
    begun = journeys.begin("q", 0, 7, headers)
    assert begun is not None
    return begun
