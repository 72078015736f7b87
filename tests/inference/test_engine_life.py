"""The engine's threads from start to close, and the errors that they survive."""

import threading
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from tests.inference.bundles import POISON, WORDS, bert_tokenizer, tiny_bundle, write_bundle
from tests.inference.graphs import table_model
from worker.inference.batch_runner import BatchRunner
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.windows import EncodedContext, Windower
from worker.models.bundle import Bundle, BundleError, open_bundle

GOOD = Question(question="a", context="b answer c")


def engine_threads() -> int:
    return sum(thread.name.startswith("qa-inference") for thread in threading.enumerate())


@pytest.fixture
def threads_before(reader: InferenceEngine) -> int:
    """Those of the shared reader."""
    return engine_threads()


def assert_at_work(reader: InferenceEngine) -> None:
    assert reader.submit(GOOD).result(30).outcome.answer == "answer"


def test_start_and_close_of_the_threads(tiny_bundle: Bundle, threads_before: int) -> None:
    with InferenceEngine(tiny_bundle, InferenceOptions(threads=3, max_question_tokens=8)) as reader:
        assert_at_work(reader)
        assert engine_threads() == threads_before + 3
    assert engine_threads() == threads_before


def test_close_is_idempotent(tiny_reader: InferenceEngine) -> None:
    tiny_reader.start()
    tiny_reader.close()
    tiny_reader.close()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        # One row: the warm-up's token is past the table.
        ([0.0], "out of data bounds"),
        # Logits of two numbers a token: the graph says so only by running.
        ([[0.0, 0.0]] * 20, r"logits of shape \(32, 2\)"),
    ],
    ids=["raises", "shape"],
)
def test_a_model_that_cannot_run_the_largest_batch_stops_the_start(
    tmp_path: Path, threads_before: int, table: Any, complaint: str
) -> None:
    bundle = open_bundle(write_bundle(tmp_path / "bundle", model=table_model(table, table)))
    reader = InferenceEngine(bundle, InferenceOptions(threads=2, max_question_tokens=8))
    with pytest.raises(BundleError, match=f"the model does not run: .*{complaint}"):
        reader.start()
    assert engine_threads() == threads_before
    with pytest.raises(RuntimeError, match="closed"):
        reader.submit(GOOD)


def test_a_question_may_take_half_of_a_window_and_no_more(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny", max_tokens=32)
    InferenceEngine(bundle, InferenceOptions(threads=1, max_question_tokens=16))
    with pytest.raises(BundleError, match="less than half of a window of 32"):
        InferenceEngine(bundle, InferenceOptions(threads=1, max_question_tokens=17))
    larger = tiny_bundle(tmp_path / "larger", max_tokens=64)
    with pytest.raises(BundleError, match="less than half of a window of 40"):
        InferenceEngine(larger, InferenceOptions(threads=1, max_tokens=40, max_question_tokens=32))


def test_by_default_a_question_may_take_half_of_a_window(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny", max_tokens=32)
    with InferenceEngine(bundle, InferenceOptions(threads=1)) as reader:
        fits, too_long = (
            reader.submit(Question(question="a " * tokens, context="answer")) for tokens in (16, 17)
        )
        assert fits.result(30).outcome.answered
        with pytest.raises(Rejected) as caught:
            too_long.result(30)
    assert caught.value.detail == "the question has 17 tokens, the limit is 16"


def test_an_internal_error_is_a_rejection_with_its_cause(tiny_reader: InferenceEngine) -> None:
    tiny_reader.start()
    # No text: the tokenizer raises TypeError. It cannot come off a topic.
    bug = Question.model_construct(
        id="x", question="\ud800", context="b", options=ReadingOptions(), metadata={}
    )
    with pytest.raises(Rejected) as caught:
        tiny_reader.submit(bug).result(30)
    assert caught.value.reason is Reason.INTERNAL_ERROR
    assert caught.value.detail.startswith("preprocess: TypeError: ")
    assert isinstance(caught.value.__cause__, TypeError)
    assert_at_work(tiny_reader)


def test_a_panic_of_the_tokenizer_is_a_rejection(
    tiny_reader: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Windower.tokenize_context

    def encode_or_panic(
        self: Windower, text: str, *, max_tokens: int | None = None
    ) -> EncodedContext:
        if text == "panic":
            panic()
        return encode(self, text, max_tokens=max_tokens)

    monkeypatch.setattr(Windower, "tokenize_context", encode_or_panic)
    tiny_reader.start()
    with pytest.raises(Rejected) as caught:
        tiny_reader.submit(Question(question="a", context="panic")).result(30)
    assert caught.value.reason is Reason.INTERNAL_ERROR
    assert "PanicException" in caught.value.detail
    assert not isinstance(caught.value.__cause__, Exception)
    assert_at_work(tiny_reader)


def panic() -> None:
    """The real one, a BaseException: a stride larger than what is left of a window."""
    tokenizer: Tokenizer = bert_tokenizer([*WORDS, POISON])
    tokenizer.enable_truncation(8, stride=4, strategy="only_second")
    tokenizer.encode("a b", "a " * 20)


def test_an_error_while_picking_spans_is_a_rejection(
    tiny_reader: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("no spans")

    tiny_reader.start()
    with monkeypatch.context() as broken:
        broken.setattr("worker.inference.question_answering.job.rank_with_softmax", fail)
        with pytest.raises(Rejected) as caught:
            tiny_reader.submit(GOOD).result(30)
    assert caught.value.reason is Reason.INTERNAL_ERROR
    assert caught.value.detail == "postprocess: ZeroDivisionError: no spans"
    assert_at_work(tiny_reader)


def test_a_bug_loses_its_question_and_not_the_thread(
    tiny_reader: InferenceEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_reader.start()
    failed = threading.Event()

    def collect(*_: object) -> None:
        failed.set()
        raise RuntimeError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(BatchRunner, "_add_output", collect)
        lost = tiny_reader.submit(Question(question="a", context="b answer"))
        assert failed.wait(30)
    found = tiny_reader.submit(Question(question="a", context="b answer")).result(30).outcome
    assert found.answered
    assert not lost.done()
