"""Windows of many questions in one batch, on a model whose batches leave no trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.question import Question, ReadingOptions
from tests.examples import examples
from tests.inference.bundles import WORDS, tiny_bundle, write_bundle
from tests.inference.conftest import Counted
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.models.bundle import BundleError, open_bundle

READABLE = sorted(WORDS.keys() - {"nan"})
CONTEXTS = st.lists(
    st.lists(st.sampled_from(READABLE), min_size=1, max_size=80).map(" ".join),
    min_size=1,
    max_size=12,
)


def wide(threads: int) -> InferenceOptions:
    return InferenceOptions(
        threads=threads,
        max_batch_tokens=4096,
        max_padding=0.9,
        max_question_tokens=8,
        doc_stride=4,
    )


@pytest.fixture(scope="module", params=[1, 2])
def wide_reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InferenceEngine]:
    bundle = tiny_bundle(tmp_path_factory.mktemp("wide") / "tiny")
    with InferenceEngine(bundle, wide(request.param)) as reader:
        yield reader


@pytest.mark.long
@given(contexts=CONTEXTS)
@examples(60)
def test_what_shares_a_batch_does_not_change_an_answer(
    wide_reader: InferenceEngine, contexts: list[str]
) -> None:
    questions = [
        Question(question="a b", context=context, options=ReadingOptions(top_k=5))
        for context in contexts
    ]
    alone = [wide_reader.submit(question).result(30).outcome for question in questions]
    futures = [wide_reader.submit(question) for question in questions]
    assert [future.result(30).outcome for future in futures] == alone


def test_waiting_windows_run_together(tiny_reader: InferenceEngine) -> None:
    before = Counted("qa_batch_windows_count"), Counted("qa_batch_windows_sum")
    futures = [tiny_reader.submit(Question(question="a", context="b c")) for _ in range(20)]
    tiny_reader.start()
    for future in futures:
        future.result(30)
    assert [counted.since for counted in before] == [1, 20]


def test_windows_that_would_change_each_other_never_run_together(tmp_path: Path) -> None:
    directory = write_bundle(tmp_path / "tiny", batch_invariant=False)
    reader = InferenceEngine(open_bundle(directory), wide(1))
    before = Counted("qa_batch_windows_count"), Counted("qa_batch_windows_sum")
    futures = [reader.submit(Question(question="a", context="b c")) for _ in range(5)]
    reader.start()
    for future in futures:
        future.result(30)
    reader.close()
    assert [counted.since for counted in before] == [5, 5]


def test_a_window_is_as_long_as_the_model_or_the_worker_allows(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny", max_tokens=64)
    question = Question(question="a", context="b " * 100, options=ReadingOptions(doc_stride=0))
    windows = {}
    for limit in (32, 40, 64, None):
        defaults = InferenceOptions(threads=1, max_tokens=limit, max_question_tokens=8)
        with InferenceEngine(bundle, defaults) as reader:
            windows[limit] = reader.submit(question).result(30).outcome.windows
    # Each holds as many tokens less one of the question and three special ones.
    assert windows == {32: 4, 40: 3, 64: 2, None: 2}


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({"max_tokens": 65}, "windows of 65 tokens are too long: tiny takes 64"),
        ({"max_batch_tokens": 63}, "a batch of 63 tokens does not hold a window of 64"),
    ],
)
def test_limits_that_cannot_work_with_the_model_are_refused(
    tmp_path: Path, limits: dict[str, Any], complaint: str
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny", max_tokens=64)
    with pytest.raises(BundleError, match=complaint):
        InferenceEngine(bundle, InferenceOptions(threads=1, **limits))
