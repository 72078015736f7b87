"""Converted models that are wide enough for all that quantizing is about, some 100 kB each."""

from functools import cache

from tests.model_tools.random_weights import (
    TINY_BERT,
    TINY_DISTILBERT,
    Config,
    Weights,
    random_weights,
)
from tests.model_tools.tiny_models import Model
from worker.model_tools.quantize.layers import MIN_ROWS

WIDTH = 24
VOCABULARY = MIN_ROWS + 6
POSITIONS = 48

CONFIGS: dict[str, Config] = {
    "distilbert": {
        **TINY_DISTILBERT,
        "dim": WIDTH,
        "hidden_dim": 40,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
    },
    "bert": {
        **TINY_BERT,
        "hidden_size": WIDTH,
        "intermediate_size": 40,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS,
    },
}
DISTILBERT = CONFIGS["distilbert"]


@cache
def wide_model(family: str, *, head: bool) -> Model:
    """Shared by the tests; read-only."""
    return Model(CONFIGS[family], head=head)


def wide_weights(config: Config, *, head: bool = True, seed: int = 0) -> Weights:
    """Large enough that int8 shows in the answers."""
    return random_weights(config, head=head, scale=0.3, seed=seed)
