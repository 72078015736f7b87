"""Cancelled jobs do not run, and finished jobs do not count as pending tokens."""

import threading
from concurrent.futures import CancelledError, Future

import pytest

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Rejected
from tests.inference.bundles import POISON
from tests.inference.conftest import Counted
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.result import ReadResult
from worker.models.bundle import Bundle

SECONDS = 30


def question(context: str) -> Question:
    return Question(question="a", context=context)


def finished(*futures: Future[ReadResult[Answer]]) -> threading.Event:
    """Set after all callbacks of the engine on the last future."""
    event = threading.Event()
    futures[-1].add_done_callback(lambda _: event.set())
    return event


@pytest.fixture
def one_by_one(tiny_bundle: Bundle) -> InferenceEngine:
    """Not started; windows of different lengths run apart, in their order."""
    return InferenceEngine(
        tiny_bundle,
        InferenceOptions(threads=1, max_padding=0.0, max_question_tokens=8, doc_stride=4),
    )


def test_pending_tokens_are_estimated_until_preprocessed(tiny_reader: InferenceEngine) -> None:
    tiny_reader.submit(Question(question="abcd", context="x" * 396))
    assert tiny_reader.pending_tokens == 100


def test_pending_tokens_are_exact_after_preprocessing(one_by_one: InferenceEngine) -> None:
    seen = []
    first = one_by_one.submit(question("b"))
    first.add_done_callback(lambda _: seen.append(one_by_one.pending_tokens))
    second = one_by_one.submit(question("b c d"))
    with one_by_one:
        second.result(SECONDS)
    # [CLS] a [SEP] b c d [SEP]
    assert seen == [7]


@pytest.mark.parametrize("context", ["b answer", "  ", "b nan", POISON, "b " * 10_000])
def test_a_finished_job_has_no_pending_tokens(tiny_reader: InferenceEngine, context: str) -> None:
    future = tiny_reader.submit(question(context))
    assert tiny_reader.pending_tokens >= 0
    done = finished(future)
    tiny_reader.start()
    assert done.wait(SECONDS)
    assert tiny_reader.pending_tokens == 0


def test_a_job_cancelled_before_preprocessing_does_not_run(
    tiny_reader: InferenceEngine,
) -> None:
    tokenized = Counted("qa_stage_seconds_count", stage="preprocess")
    windows = Counted("qa_windows_total")
    futures = [tiny_reader.submit(question("b c d")) for _ in range(3)]
    assert futures[1].cancel()
    done = finished(*futures)
    tiny_reader.start()
    assert done.wait(SECONDS)
    assert (tokenized.since, windows.since) == (2, 2)
    assert tiny_reader.pending_tokens == 0


def test_waiting_windows_of_a_cancelled_job_do_not_run(one_by_one: InferenceEngine) -> None:
    windows = Counted("qa_windows_total")
    first, second, third = (one_by_one.submit(question(text)) for text in ("b", "b c d", "b c"))
    # By now the second is encoded: questions are encoded before windows run.
    first.add_done_callback(lambda _: second.cancel())
    done = finished(third)
    with one_by_one:
        assert done.wait(SECONDS)
    assert second.cancelled()
    assert windows.since == 2
    assert one_by_one.pending_tokens == 0


def test_a_job_cancelled_after_its_batch_is_not_postprocessed(tiny_reader: InferenceEngine) -> None:
    first, second, third = (tiny_reader.submit(question("b c")) for _ in range(3))
    # All three are in one batch: the second is cancelled with its logits there.
    first.add_done_callback(lambda _: second.cancel())
    done = finished(third)
    tiny_reader.start()
    assert done.wait(SECONDS)
    assert third.result().outcome.answered
    with pytest.raises(CancelledError):
        second.result()
    assert tiny_reader.pending_tokens == 0


def test_close_cancels_jobs_before_start(tiny_reader: InferenceEngine) -> None:
    futures = [tiny_reader.submit(question("b c")) for _ in range(3)]
    tiny_reader.close()
    assert all(future.cancelled() for future in futures)
    assert tiny_reader.pending_tokens == 0


def test_close_finishes_the_running_batch_and_cancels_the_rest(
    one_by_one: InferenceEngine,
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(_: Future[ReadResult[Answer]]) -> None:
        reached.set()
        go_on.wait(SECONDS)

    running = one_by_one.submit(question("b"))
    running.add_done_callback(hold)
    waiting = [one_by_one.submit(question("b c" + " d" * n)) for n in range(3)]
    one_by_one.start()
    assert reached.wait(SECONDS)
    closing = threading.Thread(target=one_by_one.close)
    closing.start()
    for future in waiting:
        with pytest.raises(CancelledError):
            future.result(SECONDS)
    go_on.set()
    closing.join(SECONDS)
    assert running.result().outcome.answered
    assert one_by_one.pending_tokens == 0


def test_a_closed_engine_refuses_events(tiny_reader: InferenceEngine) -> None:
    tiny_reader.start()
    tiny_reader.close()
    with pytest.raises(RuntimeError, match="closed"):
        tiny_reader.submit(question("b"))
    assert tiny_reader.pending_tokens == 0


def test_a_rejection_releases_its_tokens_before_other_callbacks(
    tiny_reader: InferenceEngine,
) -> None:
    seen = []
    future = tiny_reader.submit(Question(question="a " * 9, context="b"))
    future.add_done_callback(lambda _: seen.append(tiny_reader.pending_tokens))
    done = finished(future)
    tiny_reader.start()
    assert done.wait(SECONDS)
    with pytest.raises(Rejected):
        future.result()
    assert seen == [0]
