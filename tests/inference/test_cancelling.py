"""What is cancelled is not read, and what is done, one way or another, weighs nothing."""

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
    """Set behind the last of the callbacks that the reader hung on the last future."""
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


def test_what_waits_is_estimated_until_it_is_encoded(tiny_reader: InferenceEngine) -> None:
    tiny_reader.submit(Question(question="abcd", context="x" * 396))
    assert tiny_reader.pending_tokens == 100


def test_what_is_encoded_counts_with_the_tokens_of_its_windows(one_by_one: InferenceEngine) -> None:
    seen = []
    first = one_by_one.submit(question("b"))
    first.add_done_callback(lambda _: seen.append(one_by_one.pending_tokens))
    second = one_by_one.submit(question("b c d"))
    with one_by_one:
        second.result(SECONDS)
    # [CLS] a [SEP] b c d [SEP]
    assert seen == [7]


@pytest.mark.parametrize("context", ["b answer", "  ", "b nan", POISON, "b " * 10_000])
def test_nothing_is_left_of_a_question_that_is_done(
    tiny_reader: InferenceEngine, context: str
) -> None:
    future = tiny_reader.submit(question(context))
    assert tiny_reader.pending_tokens >= 0
    done = finished(future)
    tiny_reader.start()
    assert done.wait(SECONDS)
    assert tiny_reader.pending_tokens == 0


def test_a_question_cancelled_before_it_is_encoded_is_not_read(
    tiny_reader: InferenceEngine,
) -> None:
    windows = Counted("qa_windows_total")
    futures = [tiny_reader.submit(question("b c d")) for _ in range(3)]
    assert futures[1].cancel()
    done = finished(*futures)
    tiny_reader.start()
    assert done.wait(SECONDS)
    assert windows.since == 2
    assert tiny_reader.pending_tokens == 0


def test_windows_that_wait_are_dropped_with_their_question(one_by_one: InferenceEngine) -> None:
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


def test_an_answer_that_nobody_waits_for_any_more_is_dropped(tiny_reader: InferenceEngine) -> None:
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


def test_closing_cancels_what_was_never_started(tiny_reader: InferenceEngine) -> None:
    futures = [tiny_reader.submit(question("b c")) for _ in range(3)]
    tiny_reader.close()
    assert all(future.cancelled() for future in futures)
    assert tiny_reader.pending_tokens == 0


def test_closing_cancels_windows_that_wait_and_ends_the_batch_in_progress(
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


def test_a_closed_reader_takes_nothing(tiny_reader: InferenceEngine) -> None:
    tiny_reader.start()
    tiny_reader.close()
    with pytest.raises(RuntimeError, match="closed"):
        tiny_reader.submit(question("b"))
    assert tiny_reader.pending_tokens == 0


def test_a_rejection_gives_its_tokens_back_before_its_callbacks_run(
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
