"""Token vectors to one vector of the text. Pure numpy.

On one window this is what sentence-transformers makes of the same vectors: its mean pooling
counts the special tokens too, and its normalising divides by the Euclidean norm. Longer texts,
which it would cut off, are the mean of their windows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.models.manifest import Pooling

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

LEAST_NORM = 1e-12
"""As in torch's `normalize`: what is shorter is divided by this instead, so zeros stay zeros."""

DIGITS = range(9, 5, -1)
"""Decimal digits to try for a float32, most first: nine always tell it from its neighbours, and
six or fewer are found with six, but not always with seven."""


class VectorError(Exception):
    """The model gave vectors that are not finite."""


def pool(vectors: Floats, pooling: Pooling) -> Doubles:
    """One window's vectors, (length, dims), to one of (dims,), not normalised.

    [CLS] is the first of them; the padding is cut off already.
    """
    if pooling.mode == "cls":
        first: Doubles = vectors[0].astype(np.float64)
        return first
    # Infinities of both signs make a NaN, which `combine` refuses; a warning would be a second.
    with np.errstate(invalid="ignore"):
        mean: Doubles = vectors.mean(axis=0, dtype=np.float64)
    return mean


def combine(pooled: Sequence[Doubles], tokens: Sequence[int], pooling: Pooling) -> Floats:
    """The text's vector, (dims,), of its windows' vectors, each weighted by its tokens of the text.

    So every token weighs the same, whether its window is full or is the short last one; special
    tokens do not add to the weight. Normalised, if at all, at the end. Raises `VectorError`.
    """
    if not np.isfinite(pooled).all():
        raise VectorError("the model gave vectors that are not finite")
    vector: Doubles = np.average(pooled, axis=0, weights=tokens) if len(pooled) > 1 else pooled[0]
    if pooling.normalize:
        vector = vector / max(float(np.linalg.norm(vector)), LEAST_NORM)
    return vector.astype(np.float32)


def shortest_floats(vector: Floats) -> list[float]:
    """Each float32 as the double with the fewest decimal digits that rounds back to it.

    JSON writes such a number with up to 9 digits; the plain double of a float32 takes 17. Beyond
    1e-14 and 1e9 digits may be more, but what is read back is the same. (`str` of numpy's scalars
    gives the same digits, in twenty times the time.)
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
