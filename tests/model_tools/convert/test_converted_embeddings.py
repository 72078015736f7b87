"""A converted encoder through the reader: its embedding is the mean of what onnxruntime gives.

Against transformers: `python -m tests.parity.embeddings`.
"""

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer

from schemas.embedding import Embedding
from schemas.text import Text
from tests.model_tools.random_weights import TINY_BERT, TINY_DISTILBERT, Config, random_weights
from tests.model_tools.word_models import random_words, word_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.models.bundle import Bundle
from worker.models.manifest import Pooling, Task

CONFIGS: dict[str, Config] = {
    "distilbert": {**TINY_DISTILBERT, "vocab_size": 300, "max_position_embeddings": 24},
    "bert": {**TINY_BERT, "vocab_size": 300, "max_position_embeddings": 24},
}
CAPACITY = 22


@pytest.fixture(scope="module", params=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def bundle(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    weights = random_weights(config, head=False, scale=0.5)
    return word_bundle(tmp_path_factory.mktemp("bundle"), config, weights)


@pytest.fixture(scope="module")
def texts(config: Config) -> list[Text]:
    """Of one window, and the last of three and a piece."""
    counts = [1, 2, 7, CAPACITY - 1, CAPACITY, 3 * CAPACITY + 5]
    words = [random_words(config, count, seed) for seed, count in enumerate(counts)]
    return [Text(id=str(n), text=each.event.passages[0].text) for n, each in enumerate(words)]


def embed(bundle: Bundle, texts: list[Text], threads: int = 1) -> list[NDArray[np.float64]]:
    defaults = InferenceOptions(threads=threads, max_batch_tokens=512, max_padding=0.9)
    with InferenceEngine(bundle, defaults) as reader:
        outcomes = list(map_ordered(reader, texts))
    return [np.array(each.embedding) for each in outcomes if isinstance(each, Embedding)]


def alone(bundle: Bundle, words: list[str]) -> NDArray[np.float64]:
    """The mean over all tokens, special ones too, of a run that holds this window only."""
    tokenizer = Tokenizer.from_file(str(bundle.tokenizer_file))
    ids = np.array([tokenizer.encode(" ".join(words)).ids], np.int64)
    feed = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    session = ort.InferenceSession(bundle.model_file, providers=["CPUExecutionProvider"])
    (vectors,) = session.run(None, {name: feed[name] for name in bundle.manifest.inputs})
    mean: NDArray[np.float64] = vectors[0].mean(axis=0, dtype=np.float64)
    return mean


def test_encoder_becomes_an_embeddings_bundle(bundle: Bundle) -> None:
    assert bundle.manifest.task is Task.EMBEDDINGS
    assert bundle.manifest.pooling == Pooling(mode="mean", normalize=False)


def test_one_window_is_the_mean_of_its_token_vectors(bundle: Bundle, texts: list[Text]) -> None:
    for text, embedding in zip(texts[:-1], embed(bundle, texts[:-1]), strict=True):
        np.testing.assert_allclose(embedding, alone(bundle, text.text.split()), atol=1e-5)


def test_long_text_is_the_token_weighted_mean_of_windows(bundle: Bundle, texts: list[Text]) -> None:
    words = texts[-1].text.split()
    pieces = [words[at : at + CAPACITY] for at in range(0, len(words), CAPACITY)]
    assert [len(piece) for piece in pieces] == [CAPACITY] * 3 + [5]
    total = sum((alone(bundle, piece) * len(piece) for piece in pieces), np.zeros(12))
    (embedding,) = embed(bundle, texts[-1:])
    np.testing.assert_allclose(embedding, total / len(words), atol=1e-5)


def test_embedding_does_not_depend_on_the_batch(bundle: Bundle, texts: list[Text]) -> None:
    single = [embed(bundle, [text])[0].tolist() for text in texts]
    for threads in (1, 2):
        assert [each.tolist() for each in embed(bundle, texts * 2, threads)] == single * 2
