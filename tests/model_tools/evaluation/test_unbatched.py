"""Read in the calling thread, an event comes to what the worker's reader makes of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.event import Event
from schemas.question import Question, ReadingOptions
from schemas.rejection import Reason, Rejected
from schemas.text import Text
from tests.inference.bundles import POISON, WORDS
from tests.inference.bundles import tiny_bundle as make_tiny_bundle
from tests.inference.embeddings import CAPACITY, DIMS, write_embedding_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import LogitsError, ScoreNormalization
from worker.model_tools.evaluation.unbatched import UnbatchedReader, UnbatchedResult
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import Pooling

LONG = "b answer c " * 20 + "second"


@pytest.fixture
def direct(tiny_bundle: Bundle, tiny_defaults: InferenceOptions) -> UnbatchedReader:
    return UnbatchedReader(tiny_bundle, tiny_defaults)


@pytest.fixture
def started(tiny_reader: InferenceEngine) -> InferenceEngine:
    tiny_reader.start()
    return tiny_reader


@pytest.fixture(params=[Pooling(), Pooling(mode="cls", normalize=True)], ids=str)
def embedder(request: pytest.FixtureRequest, tmp_path: Path) -> Bundle:
    return open_bundle(write_embedding_bundle(tmp_path / "embedder", request.param))


@pytest.fixture
def embedding_reader(embedder: Bundle) -> Iterator[InferenceEngine]:
    with InferenceEngine(embedder, InferenceOptions(threads=1)) as reader:
        yield reader


def rejection(reader: InferenceEngine, event: Event[Any]) -> Rejected:
    with pytest.raises(Rejected) as caught:
        reader.submit(event).result(30)
    return caught.value


@pytest.mark.parametrize(
    "question",
    [
        Question(id="1", question="a", context="b answer c"),
        Question(question="a b", context=LONG, metadata={"from": "us"}),
        Question(question="a", context=LONG, options=ReadingOptions(top_k=5, doc_stride=1)),
        Question(question="a", context="  "),
    ],
    ids=["short", "long", "options", "blank"],
)
@pytest.mark.parametrize("score_normalization", ScoreNormalization)
def test_unbatched_answer_equals_the_engines(
    tiny_bundle: Bundle,
    tiny_defaults: InferenceOptions,
    question: Question,
    score_normalization: ScoreNormalization,
) -> None:
    defaults = tiny_defaults.model_copy(update={"score_normalization": score_normalization})
    with InferenceEngine(tiny_bundle, defaults) as reader:
        expected = reader.submit(question).result(30).outcome
    found = UnbatchedReader(tiny_bundle, defaults).read(question)
    assert found.outcome == expected
    assert len(found.windows) == len(found.outputs) == expected.windows
    assert (expected.windows > 2) == (question.context == LONG)


@pytest.mark.parametrize("words", [1, CAPACITY, CAPACITY + 1, 5 * CAPACITY - 1])
def test_unbatched_embedding_equals_the_engines(
    embedder: Bundle, embedding_reader: InferenceEngine, words: int
) -> None:
    text = Text(id="1", text=" ".join([*WORDS][number % 2] for number in range(words)))
    found = UnbatchedReader(embedder, InferenceOptions(threads=1)).read(text)
    assert found.outcome == embedding_reader.submit(text).result(30).outcome
    assert isinstance(found.outcome, Embedding)
    assert len(found.windows) == -(-words // CAPACITY)
    assert [vectors.shape for (vectors,) in found.outputs] == [
        (len(window), DIMS) for window in found.windows
    ]


def test_default_model_answers_as_in_the_engine(
    default_bundle: Bundle, reader: InferenceEngine
) -> None:
    question = Question(
        question="Who wrote the first algorithm?",
        context="In 1843 Ada Lovelace wrote the first algorithm, for Babbage's machine.",
    )
    found = UnbatchedReader(default_bundle, reader.options).read(question)
    assert found.outcome == reader.submit(question).result(30).outcome
    assert isinstance(found.outcome, Answer)
    assert found.outcome.answer == "Ada Lovelace"


def test_outputs_come_in_the_order_of_windows(direct: UnbatchedReader) -> None:
    found = direct.read(Question(question="a", context=LONG))
    assert [window.first for window in found.windows] == sorted(
        {window.first for window in found.windows}
    )
    for window, (starts, ends) in zip(found.windows, found.outputs, strict=True):
        again_starts, again_ends = direct.session.run([window])[0]
        np.testing.assert_array_equal(starts, again_starts)
        np.testing.assert_array_equal(ends, again_ends)
        assert starts.shape == (len(window),)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question(question="a " * 9, context="answer"), Reason.QUESTION_TOO_LONG),
        (Question(question="a", context="b " * 10_000), Reason.CONTEXT_TOO_LONG),
        (
            Question(question="a", context="b", options=ReadingOptions(top_k=50)),
            Reason.OPTION_OUT_OF_RANGE,
        ),
    ],
    ids=["question", "context", "options"],
)
def test_rejected_question_is_an_outcome(
    direct: UnbatchedReader, started: InferenceEngine, question: Question, reason: Reason
) -> None:
    found = direct.read(question)
    expected = rejection(started, question)
    assert found == UnbatchedResult(found.outcome)
    assert isinstance(found.outcome, Rejected)
    assert (found.outcome.reason, found.outcome.detail) == (reason, expected.detail)
    assert expected.reason is reason


def test_rejected_text_is_an_outcome(embedder: Bundle, embedding_reader: InferenceEngine) -> None:
    blank = Text(text="\u200b")
    found = UnbatchedReader(embedder, InferenceOptions(threads=1)).read(blank)
    assert isinstance(found.outcome, Rejected)
    assert found.outcome.detail == rejection(embedding_reader, blank).detail
    assert (found.windows, found.outputs) == ((), ())


def test_model_errors_are_raised(direct: UnbatchedReader) -> None:
    with pytest.raises(Exception, match="out of data bounds"):
        direct.read(Question(question="a", context=POISON))
    with pytest.raises(LogitsError):
        direct.read(Question(question="a", context="b nan"))
    assert isinstance(direct.read(Question(question="a", context="answer")).outcome, Answer)


@pytest.mark.parametrize(("asked", "longest"), [(None, 64), (40, 40), (500, 64)])
def test_window_length_is_limited_by_options_and_model(
    tmp_path: Path, asked: int | None, longest: int
) -> None:
    reader = UnbatchedReader(
        make_tiny_bundle(tmp_path / "tiny", max_tokens=64),
        InferenceOptions(threads=1, max_tokens=asked, doc_stride=4),
    )
    found = reader.read(Question(question="a", context=LONG))
    assert max(len(window) for window in found.windows) == longest


def test_threads_can_read_concurrently(direct: UnbatchedReader) -> None:
    questions = [Question(question="a", context=LONG[: 3 * number]) for number in range(1, 60)]
    alone = [direct.read(question).outcome for question in questions]
    with ThreadPoolExecutor(4) as pool:
        assert [found.outcome for found in pool.map(direct.read, questions)] == alone
