"""A window on which the model fails does not fail the others of its batch.

The model of these tests really raises on the word "poison", for the whole batch.
"""

from concurrent.futures import Future

import pytest

from schemas.answer import Answer
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from tests.inference.bundles import POISON
from tests.inference.conftest import Counted
from worker.inference.engine import InferenceEngine
from worker.inference.result import ReadResult

GOOD = "b c answer d"
BAD = f"b c {POISON} d"


def submitted(reader: InferenceEngine, *contexts: str) -> list[Future[ReadResult[Answer]]]:
    return [reader.submit(Question(question="a", context=context)) for context in contexts]


def outcome(future: Future[ReadResult[Answer]]) -> str:
    try:
        return future.result(30).outcome.answer
    except Rejected as rejected:
        return rejected.reason


def test_the_other_windows_of_a_failed_batch_are_answered(
    tiny_reader: InferenceEngine,
) -> None:
    splits, windows = Counted("qa_batch_splits_total"), Counted("qa_windows_total")
    contexts = [GOOD] * 8
    contexts[5] = BAD
    futures = submitted(tiny_reader, *contexts)
    tiny_reader.start()
    expected = ["answer"] * 8
    expected[5] = Reason.MODEL_FAILED
    assert [outcome(future) for future in futures] == expected
    # 8 halved to 4, 2, 1; then the seven others are run once each.
    assert (splits.since, windows.since) == (3, 7)


def test_several_failures_in_a_batch_are_each_found(tiny_reader: InferenceEngine) -> None:
    futures = submitted(tiny_reader, BAD, GOOD, GOOD, BAD, BAD, GOOD)
    tiny_reader.start()
    failed, fine = Reason.MODEL_FAILED, "answer"
    assert [outcome(future) for future in futures] == [failed, fine, fine, failed, failed, fine]


def test_a_question_with_several_failing_windows_fails_once(tiny_reader: InferenceEngine) -> None:
    several = f"{GOOD} {BAD} " * 20
    bad, good = submitted(tiny_reader, several, GOOD)
    tiny_reader.start()
    assert outcome(bad) == Reason.MODEL_FAILED
    assert outcome(good) == "answer"


def test_other_windows_of_a_failed_question_do_not_run(tiny_reader: InferenceEngine) -> None:
    splits, windows = Counted("qa_batch_splits_total"), Counted("qa_batch_windows_sum")
    (future,) = submitted(tiny_reader, f"{POISON} " * 200)
    tiny_reader.start()
    assert outcome(future) == Reason.MODEL_FAILED
    # 9 windows halved to 4, 2, 1; with the first one failed the other halves are dropped.
    assert (windows.since, splits.since) == (9, 3)


def test_the_rejection_quotes_onnxruntime(tiny_reader: InferenceEngine) -> None:
    (future,) = submitted(tiny_reader, BAD)
    tiny_reader.start()
    with pytest.raises(Rejected, match="out of data bounds"):
        future.result(30)


def test_logits_that_are_not_finite_fail_one_question(tiny_reader: InferenceEngine) -> None:
    splits = Counted("qa_batch_splits_total")
    futures = submitted(tiny_reader, GOOD, "b nan c", GOOD)
    tiny_reader.start()
    assert [outcome(future) for future in futures] == ["answer", Reason.MODEL_FAILED, "answer"]
    assert splits.since == 0


def test_the_engine_works_on_after_a_failure(tiny_reader: InferenceEngine) -> None:
    tiny_reader.start()
    for context, expected in ((BAD, Reason.MODEL_FAILED), (GOOD, "answer")) * 3:
        (future,) = submitted(tiny_reader, context)
        assert outcome(future) == expected
