"""Pools token vectors into one vector of the text. Pure numpy.

On one window the result is that of sentence-transformers: its mean pooling counts the special
tokens too, and its normalization divides by the Euclidean norm. sentence-transformers truncates
longer texts; here they are the mean of their windows, to which the layers after the pooling apply.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.inference.embedding.layers import Doubles, Layer
from worker.models.manifest import Pooling

Floats = NDArray[np.float32]

LEAST_NORM = 1e-12
"""Smallest divisor of the normalization, as in torch's `normalize`: zeros stay zeros."""

DIGITS = range(9, 5, -1)
"""Numbers of decimal digits to try for a float32, largest first. Nine always identify it; a number
that has six or fewer is found with six, but not always with seven."""


class VectorError(Exception):
    """The model returned vectors that are not finite."""


def pool(vectors: Floats, pooling: Pooling) -> Doubles:
    """Pool one window's vectors, (length, dims), into one of (dims,), not normalized.

    The first vector is that of [CLS]; there is no padding.
    """
    if pooling.mode == "cls":
        first: Doubles = vectors[0].astype(np.float64)
        return first
    # Infinities of both signs give NaN, which `combine` rejects; no numpy warning in addition.
    with np.errstate(invalid="ignore"):
        mean: Doubles = vectors.mean(axis=0, dtype=np.float64)
    return mean


def combine(
    pooled: Sequence[Doubles],
    tokens: Sequence[int],
    pooling: Pooling,
    layers: Sequence[Layer] = (),
) -> Floats:
    """The mean of the windows' vectors, (dims,), each weighted by its number of text tokens.

    So every token weighs the same, also those of the short last window; special tokens do not add
    to the weight. Then `layers`, which may change the number of dims; normalized at the end, if
    `pooling` says so. Raises `VectorError`.
    """
    if not np.isfinite(pooled).all():
        raise VectorError("the model returned vectors that are not finite")
    vector: Doubles = np.average(pooled, axis=0, weights=tokens) if len(pooled) > 1 else pooled[0]
    for layer in layers:
        vector = layer(vector)
    if pooling.normalize:
        vector = vector / max(float(np.linalg.norm(vector)), LEAST_NORM)
    return vector.astype(np.float32)


def shortest_floats(vector: Floats) -> list[float]:
    """Each float32 as the double with the fewest decimal digits that rounds back to it.

    JSON writes such a number with up to 9 digits; the plain double of a float32 takes 17. Outside
    of 1e-14 to 1e9 it may have more digits, but it reads back the same. (`str` of numpy's scalars
    gives the same digits, but takes twenty times as long.)
    """
    exact = vector.astype(np.float64)
    magnitude = np.zeros_like(exact)
    np.log10(np.abs(exact), where=exact != 0, out=magnitude)
    short = exact
    for digits in DIGITS:
        scale = 10.0 ** (digits - 1 - np.floor(magnitude))
        rounded = np.rint(exact * scale) / scale
        short = np.where(rounded.astype(np.float32) == vector, rounded, short)
    numbers: list[float] = short.tolist()
    return numbers
