"""Texts in, embeddings out: whole, and the same whatever runs beside."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.embedding import Embedding
from schemas.question import Question
from schemas.rejection import Reason, Rejected
from schemas.text import Text
from tests.examples import examples
from tests.inference.bundles import POISON, tiny_model
from tests.inference.conftest import Counted
from tests.inference.embeddings import (
    CAPACITY,
    DIMS,
    READABLE,
    expected,
    write_embedding_bundle,
)
from tests.inference.graphs import vector_model
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.models.bundle import Bundle, BundleError, open_bundle
from worker.models.manifest import Pooling

POOLINGS = [
    Pooling(mode=mode, normalize=normalize)
    for mode in ("mean", "cls")
    for normalize in (False, True)
]
WORDS = st.lists(st.sampled_from(READABLE), min_size=1, max_size=5 * CAPACITY)
WIDE = InferenceOptions(threads=1, max_batch_tokens=4096, max_padding=0.9)
SECONDS = 30


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return open_bundle(write_embedding_bundle(tmp_path_factory.mktemp("texts") / "tiny"))


@pytest.fixture(scope="module")
def embedder(bundle: Bundle) -> Iterator[InferenceEngine]:
    with InferenceEngine(bundle, WIDE) as reader:
        yield reader


@pytest.fixture(scope="module", params=POOLINGS, ids=str)
def pooling(request: pytest.FixtureRequest) -> Pooling:
    chosen: Pooling = request.param
    return chosen


@pytest.fixture(scope="module")
def pooled_reader(
    pooling: Pooling, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InferenceEngine]:
    directory = write_embedding_bundle(tmp_path_factory.mktemp("pooled") / "tiny", pooling)
    with InferenceEngine(open_bundle(directory), WIDE) as reader:
        yield reader


def text(words: list[str]) -> Text:
    return Text(text=" ".join(words))


def embedded(reader: InferenceEngine, words: list[str]) -> Embedding:
    return reader.submit(text(words)).result(SECONDS).outcome


def refusal(reader: InferenceEngine, content: str) -> Rejected:
    with pytest.raises(Rejected) as caught:
        reader.submit(Text(text=content)).result(SECONDS)
    return caught.value


@given(words=WORDS)
@examples(60)
def test_an_embedding_is_what_the_formula_says(
    pooled_reader: InferenceEngine, pooling: Pooling, words: list[str]
) -> None:
    embedding = embedded(pooled_reader, words)
    np.testing.assert_allclose(embedding.embedding, expected(words, pooling), atol=1e-5)
    assert embedding.windows == -(-len(words) // CAPACITY)
    if pooling.normalize:
        assert np.linalg.norm(embedding.embedding) == pytest.approx(1, abs=1e-6)


def test_an_embedding_is_whole(embedder: InferenceEngine, bundle: Bundle) -> None:
    asked = Text(id="t-1", text="answer a", metadata={"tenant": "t", "n": [1, None]})
    embedding = embedder.submit(asked).result(SECONDS).outcome
    assert (embedding.id, embedding.dims, embedding.windows) == ("t-1", DIMS, 1)
    assert len(embedding.embedding) == DIMS
    assert embedding.metadata == asked.metadata
    assert embedding.source is None
    assert (embedding.model.name, embedding.model.sha256) == (
        "tiny-vectors",
        bundle.manifest.sha256,
    )


def test_a_published_embedding_reads_back_as_the_same_float32(embedder: InferenceEngine) -> None:
    embedding = embedded(embedder, ["a", "b"])
    back = json.loads(embedding.model_dump_json())["embedding"]
    assert back == embedding.embedding
    assert back == [float(str(np.float32(number))) for number in back]


@pytest.mark.parametrize("threads", [1, 2])
@given(texts=st.lists(WORDS, min_size=1, max_size=12))
@examples(20)
def test_an_embedding_is_the_same_alone_and_among_others(
    embedder: InferenceEngine, bundle: Bundle, threads: int, texts: list[list[str]]
) -> None:
    alone = [embedded(embedder, words) for words in texts]
    defaults = InferenceOptions(threads=threads, max_batch_tokens=256, max_padding=0.9)
    with InferenceEngine(bundle, defaults) as busy:
        futures = [busy.submit(text(words)) for words in [*texts, *texts[::-1]]]
        together = [future.result(SECONDS).outcome for future in futures]
    assert together == [*alone, *alone[::-1]]


def test_texts_share_batches(bundle: Bundle) -> None:
    before = Counted("qa_batch_windows_count"), Counted("qa_batch_windows_sum")
    reader = InferenceEngine(bundle, WIDE)
    futures = [reader.submit(text(["a", "b"])) for _ in range(20)]
    with reader:
        for future in futures:
            future.result(SECONDS)
    assert [counted.since for counted in before] == [1, 20]


def test_embeddings_come_in_the_order_of_the_texts(embedder: InferenceEngine) -> None:
    texts = [Text(id=str(n), text="b " * (200 if n % 3 == 0 else 2)) for n in range(30)]
    outcomes = list(map_ordered(embedder, texts))
    assert [o.id for o in outcomes if isinstance(o, Embedding)] == [str(n) for n in range(30)]


def test_a_text_without_a_readable_token_is_refused(embedder: InferenceEngine) -> None:
    rejected = refusal(embedder, "\u200b")
    assert rejected.reason is Reason.SCHEMA
    assert rejected.detail == "text: holds nothing that the model can read"


def test_a_text_of_too_many_windows_is_refused(bundle: Bundle) -> None:
    with InferenceEngine(bundle, InferenceOptions(threads=1, max_windows=2)) as strict:
        assert embedded(strict, ["a"] * 2 * CAPACITY).windows == 2
        assert refusal(strict, "a " * (2 * CAPACITY + 1)).reason is Reason.TEXT_TOO_LONG


@pytest.mark.parametrize("where", ["nan", "a " * CAPACITY + "nan"], ids=["first", "second"])
def test_vectors_that_are_not_finite_are_the_models_failure(
    embedder: InferenceEngine, where: str
) -> None:
    rejected = refusal(embedder, where)
    assert rejected.reason is Reason.MODEL_FAILED
    assert "not finite" in rejected.detail
    assert embedded(embedder, ["a"]).windows == 1


def test_a_text_on_which_the_model_raises_costs_no_other_its_embedding(bundle: Bundle) -> None:
    reader = InferenceEngine(bundle, WIDE)
    futures = [reader.submit(Text(text=each)) for each in ("a", f"a {POISON}", "b")]
    with reader:
        for index in (0, 2):
            assert futures[index].result(SECONDS).outcome.dims == DIMS
        with pytest.raises(Rejected) as caught:
            futures[1].result(SECONDS)
    assert caught.value.reason is Reason.MODEL_FAILED


@pytest.mark.parametrize("content", ["b answer", "\u200b", "nan", POISON, "b " * 10_000])
def test_nothing_is_left_of_a_text_that_is_done(bundle: Bundle, content: str) -> None:
    seen = []
    with InferenceEngine(bundle, WIDE) as reader:
        future = reader.submit(Text(text=content))
        future.add_done_callback(lambda _: seen.append(reader.pending_tokens))
        future.exception(SECONDS)
    assert seen == [0]


def test_a_text_that_waits_is_estimated_by_its_length(bundle: Bundle) -> None:
    reader = InferenceEngine(bundle, WIDE)
    waiting = reader.submit(Text(text="x" * 400))
    assert reader.pending_tokens == 100
    reader.close()
    assert waiting.cancelled()
    assert reader.pending_tokens == 0


def test_a_text_that_is_cancelled_is_not_read(bundle: Bundle) -> None:
    windows = Counted("qa_windows_total")
    reader = InferenceEngine(bundle, WIDE)
    futures = [reader.submit(text(["a"] * 3 * CAPACITY)) for _ in range(3)]
    assert futures[1].cancel()
    with reader:
        futures[2].result(SECONDS)
    assert windows.since == 6
    assert reader.pending_tokens == 0


def test_each_reader_takes_the_events_of_its_task(
    embedder: InferenceEngine, reader: InferenceEngine
) -> None:
    assert (embedder.event_type, reader.event_type) == (Text, Question)
    with pytest.raises(TypeError, match="tiny-vectors reads a Text, not a Question"):
        embedder.submit(Question(question="a", context="b"))
    with pytest.raises(TypeError, match="default reads a Question, not a Text"):
        reader.submit(Text(text="a"))
    assert embedder.pending_tokens == reader.pending_tokens == 0


def test_a_limit_for_questions_is_none_for_texts(bundle: Bundle) -> None:
    with InferenceEngine(bundle, InferenceOptions(threads=1, max_question_tokens=500)) as reader:
        assert embedded(reader, ["a"] * CAPACITY).windows == 1


@pytest.mark.parametrize("shape", [(20,), (20, 2, 2)])
def test_a_model_whose_vectors_have_another_shape_stops_the_start(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    model = vector_model(np.zeros(shape))
    reader = InferenceEngine(
        open_bundle(write_embedding_bundle(tmp_path / "odd", model=model)), WIDE
    )
    with pytest.raises(BundleError, match=r"does not run: token vectors of shape \(12,.* for 12"):
        reader.start()


def test_a_model_for_questions_is_none_for_embeddings(tmp_path: Path) -> None:
    bundle = open_bundle(write_embedding_bundle(tmp_path / "wrong", model=tiny_model()))
    with pytest.raises(BundleError, match=r"a model for embeddings gives \['last_hidden_state'\]"):
        InferenceEngine(bundle, WIDE)
