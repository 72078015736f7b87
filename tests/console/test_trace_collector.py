"""The console's collection of record traces, and their conversion to rows."""

import time

from worker.console.sampler import Latencies
from worker.console.trace_collector import MARK, TraceCollector, batches, stages
from worker.kafka.records import InputRecord
from worker.observability.client_operations import Header
from worker.observability.record_trace import (
    ANSWERED,
    DROPPED,
    RecordTrace,
    TraceDispatcher,
)
from worker.observability.timings import CACHE, BatchTiming, StageTiming

SENT = 1_700_000_000_000_000_000
MS = 1_000_000


def received(at: int = SENT + 10 * MS) -> RecordTrace:
    return RecordTrace("q", 0, 7, [], received=at)


def complete_trace() -> RecordTrace:
    """Returns a trace in which each stage starts 1 ms after the previous one and takes 2 ms."""
    trace = received()
    trace.stages = [
        StageTiming("decode", SENT + 11 * MS, SENT + 13 * MS),
        StageTiming("preprocess", SENT + 14 * MS, SENT + 16 * MS),
        StageTiming("postprocess", SENT + 24 * MS, SENT + 26 * MS),
        StageTiming("publish", SENT + 27 * MS, SENT + 29 * MS),
    ]
    trace.batches = [
        BatchTiming(SENT + 20 * MS, SENT + 23 * MS, 1, 1, 80),
        BatchTiming(SENT + 17 * MS, SENT + 19 * MS, 2, 3, 512),
    ]
    trace.ended = SENT + 30 * MS
    return trace


def test_stages_follow_each_other_without_a_gap() -> None:
    rows = stages(complete_trace(), SENT)
    assert rows == [
        ("queue", 0, 10, 10),
        ("decode", 10, 11, 13),
        ("preprocess", 13, 14, 16),
        ("inference", 16, 17, 23),
        ("postprocess", 23, 24, 26),
        ("publish", 26, 27, 29),
        ("commit", 29, 29, 30),
    ]


def test_the_answer_cache_stands_in_the_place_of_the_engine() -> None:
    trace = complete_trace()
    trace.batches, trace.cache = [], "wait"
    trace.stages[1:3] = [StageTiming(CACHE, SENT + 14 * MS, SENT + 26 * MS)]
    assert stages(trace, SENT)[1:4] == [
        ("decode", 10, 11, 13),
        ("cache", 13, 14, 26),
        ("publish", 26, 27, 29),
    ]


def test_batches_are_sorted_by_their_start() -> None:
    assert batches(complete_trace(), SENT) == [(17, 19, 3, 2, 512), (20, 23, 1, 1, 80)]


def test_a_record_rejected_early_has_no_engine_stages() -> None:
    rejected = received()
    rejected.stages = [StageTiming("publish", SENT + 12 * MS, SENT + 13 * MS)]
    rejected.ended = SENT + 13 * MS
    assert stages(rejected, SENT) == [
        ("queue", 0, 10, 10),
        ("publish", 10, 12, 13),
        ("commit", 13, 13, 13),
    ]


def test_stages_stay_ordered_when_the_clock_is_set_back() -> None:
    trace = complete_trace()
    trace.stages[1] = StageTiming("preprocess", SENT - 500 * MS, SENT - 400 * MS)
    trace.ended = SENT
    rows = stages(trace, SENT)
    assert all(stage.since <= stage.began <= stage.ended for stage in rows)
    assert [stage.since for stage in rows[1:]] == [stage.ended for stage in rows[:-1]]


async def test_a_question_is_identified_by_its_correlation_id() -> None:
    collector = TraceCollector(Latencies(time.monotonic))
    traces = TraceDispatcher(collector)
    with collector.watch(b"mine") as pending:
        other = begin(traces, [(MARK, b"another"), ("x", None)])
        assert not pending.seen
        mine = begin(traces, [("x", b"y"), (MARK, b"mine")])
        assert pending.seen
        traces.end(other, ANSWERED)
        assert not pending.trace.done()
        traces.end(mine, ANSWERED)
        assert pending.trace.result() is mine
    assert not collector._pending


async def test_a_dropped_record_is_traced_again() -> None:
    collector = TraceCollector(latencies := Latencies(time.monotonic))
    traces = TraceDispatcher(collector)
    with collector.watch(b"mine") as pending:
        traces.end(begin(traces, [(MARK, b"mine")]), DROPPED)
        assert (pending.dropped, pending.trace.done()) == (1, False)
        assert latencies.quantiles(0.5) == [None]
        traces.end(begin(traces, [(MARK, b"mine")]), "schema")
        assert pending.trace.result().outcome == "schema"


def test_latencies_include_every_record() -> None:
    collector = TraceCollector(latencies := Latencies(time.monotonic))
    traces = TraceDispatcher(collector)
    trace = begin(traces, [])
    trace.received -= 250 * MS
    traces.end(trace, ANSWERED)
    (latency,) = latencies.quantiles(0.5)
    assert latency is not None
    assert 250 <= latency < 260


def begin(traces: TraceDispatcher, headers: list[Header]) -> RecordTrace:
    trace = traces.start(InputRecord("q", 0, 7, None, b"{}", headers))
    assert trace is not None
    return trace
