"""How well a value tells two kinds of questions apart. Pure numpy."""

import numpy as np
from numpy.typing import NDArray


def auroc(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic: the probability that a positive one has
    the larger value; equal values count half.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    positives = int(positive.sum())
    larger = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(larger / (positives * (len(values) - positives)))
