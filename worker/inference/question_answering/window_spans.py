"""The best spans of one window, by the probabilities of its tokens to be start and end."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TokenProbabilities:
    """Probabilities of a window's context tokens to be start and end, (count,) each."""

    window: Window
    start: Doubles
    end: Doubles


def best_spans(
    probabilities: TokenProbabilities,
    context: EncodedContext,
    graphemes: Graphemes,
    most: int,
    *,
    max_answer_tokens: int,
    align_to_words: bool,
) -> dict[tuple[int, int], float]:
    """The window's `most` best distinct spans: maps (start, end) in code points to the score.

    A span that divides a grapheme cluster grows to the whole cluster. Several token spans may be
    the same text span (of one word, say), so the search widens until it finds `most` distinct
    ones or no more exist.
    """
    window = probabilities.window
    scores = banded_products(probabilities.start, probabilities.end, max_answer_tokens)
    wanted = most
    while True:
        wanted *= 4
        found: dict[tuple[int, int], float] = {}
        starts, ends, values = _largest(scores, wanted)
        first, last = starts + window.first, ends + window.first
        if align_to_words:
            first, last = context.word_first[first], context.word_last[last]
        begin, stop = context.starts[first], context.ends[last]
        once = _first_of_each(begin, stop)
        begin, stop, values = begin[once], stop[once], values[once]
        for start, end, score in zip(begin.tolist(), stop.tolist(), values.tolist(), strict=True):
            if start >= end:
                continue
            span = graphemes.cover(start, end)
            if span not in found:
                found[span] = score
                if len(found) == most:
                    return found
        if wanted >= scores.size:
            return found


def _first_of_each(starts: Ints, ends: Ints) -> Ints:
    """The indexes, ascending, at which each pair stands first.

    In long words nearly all token spans are the same text span: a loop over them in Python would
    take longer than the model.
    """
    _, indexes = np.unique(starts * (ends.max(initial=0) + 1) + ends, return_index=True)
    return np.sort(indexes)


def banded_products(p_start: Doubles, p_end: Doubles, max_tokens: int) -> Doubles:
    """(n, m): p_start[i] * p_end[i + j] for spans of j + 1 tokens, -1 where i + j is past n."""
    n = len(p_start)
    m = min(max_tokens, n)
    padded = np.concatenate((p_end, np.zeros(m - 1)))
    scores: Doubles = p_start[:, None] * sliding_window_view(padded, m)
    row, column = np.triu_indices(m, k=1)
    scores[n - m + column, m - column + row] = -1.0
    return scores


def _largest(scores: Doubles, k: int) -> tuple[Ints, Ints, Doubles]:
    """First and last tokens and scores of at least the `k` best spans, best first.

    Everything that ties with the k-th is included, so that position alone breaks ties.
    """
    flat = scores.ravel()
    if k < flat.size:
        floor = np.partition(flat, flat.size - k)[flat.size - k]
        chosen = np.flatnonzero(flat >= max(floor, 0.0))
    else:
        chosen = np.flatnonzero(flat >= 0.0)
    starts, lengths = np.divmod(chosen, scores.shape[1])
    values = flat[chosen]
    order = np.lexsort((starts + lengths, starts, -values))
    return starts[order], (starts + lengths)[order], values[order]
