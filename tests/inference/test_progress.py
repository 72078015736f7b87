"""What the engine tells a caller that bounds its work: pending tokens, rate, progress, timings."""

import time

import pytest

from schemas.question import Question
from tests.inference.bundles import POISON
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.pending_tokens import PendingTokens, TokenReservation
from worker.models.bundle import Bundle

SECONDS = 30


def test_on_progress_is_called_when_pending_tokens_fall() -> None:
    pending = PendingTokens()
    seen: list[int] = []
    pending.on_progress = lambda: seen.append(pending.total)
    one, other = TokenReservation(), TokenReservation()
    pending.reserve(one, 100)
    pending.reserve(other, 10)
    pending.reserve(one, 120)
    assert seen == []
    pending.reserve(one, 40)
    pending.release(other)
    assert seen == [50, 40]


def test_a_released_reservation_stays_released() -> None:
    pending = PendingTokens()
    reservation = TokenReservation()
    pending.reserve(reservation, 100)
    pending.release(reservation)
    pending.reserve(reservation, 7)
    pending.release(reservation)
    assert pending.total == 0


@pytest.mark.parametrize("context", ["b answer", "  ", POISON, "b " * 10_000])
def test_on_progress_is_called_for_every_outcome(
    tiny_reader: InferenceEngine, context: str
) -> None:
    seen: list[int] = []
    tiny_reader.on_progress = lambda: seen.append(tiny_reader.pending_tokens)
    future = tiny_reader.submit(Question(question="a", context=context))
    tiny_reader.start()
    future.exception(SECONDS)
    tiny_reader.close()
    assert seen[-1] == 0


def test_on_progress_is_called_for_a_cancelled_future(tiny_reader: InferenceEngine) -> None:
    seen: list[int] = []
    tiny_reader.on_progress = lambda: seen.append(tiny_reader.pending_tokens)
    tiny_reader.submit(Question(question="a", context="b" * 40)).cancel()
    assert seen == [0]


def test_the_warm_up_run_gives_a_first_rate(tiny_bundle: Bundle) -> None:
    engine = InferenceEngine(tiny_bundle, InferenceOptions(threads=2, max_question_tokens=8))
    assert engine.tokens_per_second == 0
    with engine:
        assert engine.tokens_per_second > 0


def test_timings_name_the_stages_and_the_batches(tiny_reader: InferenceEngine) -> None:
    before = time.time_ns()
    contexts = ["b c", "b c d", "b answer " * 20]
    futures = [tiny_reader.submit(Question(question="a", context=each)) for each in contexts]
    tiny_reader.start()
    results = [future.result(SECONDS) for future in futures]
    after = time.time_ns()

    for result in results:
        assert [stage.name for stage in result.timings.stages] == ["preprocess", "postprocess"]
        encode, spans = result.timings.stages
        batches = sorted(result.timings.batches, key=lambda batch: batch.began)
        moments = [
            *encode[1:],
            *(moment for batch in batches for moment in (batch.began, batch.ended)),
            *spans[1:],
        ]
        # A duration is added to the time of its beginning, so it may pass the clock by a little.
        assert before <= moments[0]
        assert moments[-1] <= after + 1_000_000
        assert all(batch.began <= batch.ended for batch in batches)
    # All windows fit in one batch, which its events share.
    (batch,) = {batch for result in results for batch in result.timings.batches}
    assert batch.events == len(contexts)
    assert batch.windows == sum(result.outcome.windows for result in results)


def test_an_event_without_a_window_has_no_batch(tiny_reader: InferenceEngine) -> None:
    future = tiny_reader.submit(Question(question="a", context=" "))
    tiny_reader.start()
    timings = future.result(SECONDS).timings
    assert [stage.name for stage in timings.stages] == ["preprocess", "postprocess"]
    assert timings.batches == []
