"""Converted models through the reader: windows as long as the model takes, offsets in the text.

The same for models of real sizes: `python -m tests.bench.sizes`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_tools.random_weights import TINY_BERT, TINY_DISTILBERT, Config
from tests.model_tools.word_models import QUESTION_WORDS, random_words, spread_weights, word_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.windows import SPECIAL_TOKENS
from worker.models.bundle import Bundle

CONFIGS: dict[str, Config] = {
    "distilbert": {**TINY_DISTILBERT, "vocab_size": 300, "max_position_embeddings": 48},
    "bert": {**TINY_BERT, "vocab_size": 300, "max_position_embeddings": 48},
}
CAPACITY = 48 - QUESTION_WORDS - SPECIAL_TOKENS


@pytest.fixture(scope="module", params=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def bundle(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return word_bundle(tmp_path_factory.mktemp("bundle"), config, spread_weights(config))


@pytest.fixture(scope="module")
def reader(bundle: Bundle) -> Iterator[InferenceEngine]:
    with InferenceEngine(bundle, InferenceOptions(threads=1, doc_stride=8)) as reader:
        yield reader


@pytest.mark.parametrize("count", [1, CAPACITY - 1, CAPACITY])
@pytest.mark.parametrize("seed", range(5))
def test_one_window_gives_the_span_of_the_best_logits(
    config: Config, bundle: Bundle, reader: InferenceEngine, count: int, seed: int
) -> None:
    words = random_words(config, count, seed)
    answer = reader.submit(words.event).result().outcome
    assert answer.windows == 1
    assert (answer.start, answer.end) == words.best_span(bundle, max_words=15)
    assert answer.answer == words.event.passages[0].text[answer.start : answer.end]


def test_long_context_is_answered_in_whole_words(config: Config, reader: InferenceEngine) -> None:
    words = random_words(config, CAPACITY + 3 * (CAPACITY - 8))
    answer = reader.submit(words.event).result().outcome
    assert answer.windows == 4
    assert (answer.start, answer.end) in words.spans(max_words=15)
    assert answer.answer == words.event.passages[0].text[answer.start : answer.end]


def test_token_types_reach_the_model(tmp_path: Path) -> None:
    # Two rows of the table change places: the question's tokens are the context's now.
    config = CONFIGS["bert"]
    weights = spread_weights(config)
    table = "bert.embeddings.token_type_embeddings.weight"
    turned = {**weights, table: weights[table][::-1].copy()}
    words = random_words(config, CAPACITY)
    answers = []
    for name, given in (("as-it-is", weights), ("turned", turned)):
        bundle = word_bundle(tmp_path / name, config, given)
        with InferenceEngine(bundle, InferenceOptions(threads=1)) as reader:
            answers.append(reader.submit(words.event).result().outcome.score)
    assert answers[0] != answers[1]
