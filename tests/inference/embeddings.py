"""A model for embeddings of a few kilobytes, and what must come of a text, written down naively."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.inference.bundles import SPECIALS, WORDS, write_bundle
from tests.inference.graphs import vector_model
from worker.models.manifest import Pooling

DIMS = 5
MAX_TOKENS = 12
CAPACITY = MAX_TOKENS - 2
"""Tokens of a text in one window."""

READABLE = [word for word in WORDS if word != "nan"]

_TABLE = np.random.default_rng(7).standard_normal((len(SPECIALS) + len(WORDS), DIMS))
_ROWS = dict(zip([*SPECIALS, *WORDS], _TABLE.astype(np.float32), strict=True))
_ROWS["nan"][0] = np.nan


def write_embedding_bundle(
    directory: Path, pooling: Pooling | None = None, *, model: bytes | None = None, **more: Any
) -> Path:
    """One token for each of `WORDS`, and for each token a row of a table of random vectors."""
    described = {
        "task": "embeddings",
        "name": "tiny-vectors",
        "pooling": pooling or Pooling(),
        "inputs": ["input_ids"],
        "outputs": ["last_hidden_state"],
        "max_tokens": MAX_TOKENS,
        **more,
    }
    table = np.stack(list(_ROWS.values()))
    return write_bundle(directory, model=model or vector_model(table), **described)


def expected(words: Sequence[str], pooling: Pooling) -> NDArray[np.float64]:
    """The embedding of a text of these words: a loop over windows, and one over tokens."""
    total = np.zeros(DIMS)
    for begin in range(0, len(words), CAPACITY):
        piece = words[begin : begin + CAPACITY]
        vectors = [_ROWS[token].astype(np.float64) for token in ["[CLS]", *piece, "[SEP]"]]
        vector = vectors[0] if pooling.mode == "cls" else sum(vectors) / len(vectors)
        total = total + vector * len(piece)
    mean = total / len(words)
    return mean / np.sqrt((mean * mean).sum()) if pooling.normalize else mean
