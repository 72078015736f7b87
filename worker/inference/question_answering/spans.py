"""Logits to ranked spans of the context. Pure numpy.

On one window the algorithm is that of Hugging Face's question-answering pipeline (transformers
4.57), without its bugs: the same span seen twice counts once with its best score, so scores stay
within [0, 1]; `top_k` is cut last, so no place is lost; ties break by position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from schemas.answer import Span
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WindowLogits = tuple[Window, NDArray[np.float32], NDArray[np.float32]]
"""A window with its start and end logits, (length,) each."""


class LogitsError(Exception):
    """The model gave logits that no probability can be made of."""


class ScoreNormalization(StrEnum):
    """How spans of different windows compare. On a single window the two are the same."""

    JOINT = "joint"
    """One softmax over the whole context: spans rank by the sum of their logits, as the decoder
    of SQuAD's published figures has it."""
    PER_WINDOW = "per_window"
    """A softmax for each window, as Hugging Face's pipeline has it: a window without an answer
    still gives its best span a high score."""


@dataclass(frozen=True, slots=True)
class SpanOptions:
    """What counts as an answer, every choice made.

    With `no_answer` the empty span competes: it wins where
    `log(its score / the best span's score)` is above `no_answer_threshold`. With joint scores
    that is SQuAD v2's rule, the difference of the null logits and the best span's.
    """

    top_k: int
    max_answer_tokens: int
    align_to_words: bool
    no_answer: bool
    no_answer_threshold: float = 0.0
    score_normalization: ScoreNormalization = ScoreNormalization.JOINT


@dataclass(frozen=True, slots=True)
class _TokenProbabilities:
    """Of a window: probabilities of its context tokens to be start and end, (count,) each."""

    window: Window
    start: Floats
    end: Floats


def rank_spans(
    text: str, context: EncodedContext, read: Sequence[WindowLogits], options: SpanOptions
) -> list[Span]:
    """Up to `top_k` spans of `text`, best first, from the windows that were read over it.

    A span's score is p_start * p_end. Raises `LogitsError` for logits that are not finite.
    """
    for window, start, end in read:
        if not (
            np.isfinite(_context_logits(start, window)).all()
            and np.isfinite(_context_logits(end, window)).all()
        ):
            raise LogitsError("the model gave logits that are not finite")
    softmax = _joint if options.score_normalization is ScoreNormalization.JOINT else _per_window
    shares, nothing = softmax(read, len(context.ids))
    best: dict[tuple[int, int], float] = {}
    for each in shares:
        for place, score in _window_spans(each, context, options).items():
            best[place] = max(score, best.get(place, 0.0))
    spans = [
        Span(answer=text[start:end], score=min(score, 1.0), start=start, end=end)
        for (start, end), score in best.items()
    ]
    if options.no_answer or not spans:
        spans.append(Span(answer="", score=min(nothing, 1.0), start=0, end=0))
    handicap = exp(-options.no_answer_threshold)
    spans.sort(
        key=lambda span: (-span.score * (1.0 if span.end else handicap), span.start, span.end)
    )
    return spans[: options.top_k]


def _context_logits(logits: NDArray[np.float32], window: Window) -> Floats:
    """The logits that count, (1 + count,): of [CLS], in front, and of the context's tokens.

    [CLS] is never an answer but stays in the denominator, as in the pipeline: mass on it lowers
    every score.
    """
    seen = np.empty(window.count + 1)
    seen[0] = logits[0]
    seen[1:] = logits[window.offset : window.offset + window.count]
    return seen


def _per_window(read: Sequence[WindowLogits], _: int) -> tuple[list[_TokenProbabilities], float]:
    """The shares of each window, and the least p_start[CLS] * p_end[CLS] of any."""
    shares = []
    # A context without a readable token (blank, say) has no window: nothing, with score 0.
    nothing = 1.0 if read else 0.0
    for window, start_logits, end_logits in read:
        start, end = _context_logits(start_logits, window), _context_logits(end_logits, window)
        for seen in (start, end):
            seen -= seen.max()
            np.exp(seen, out=seen)
            seen /= seen.sum()
        shares.append(_TokenProbabilities(window, start[1:], end[1:]))
        nothing = min(nothing, float(start[0] * end[0]))
    return shares, nothing


def _joint(read: Sequence[WindowLogits], tokens: int) -> tuple[list[_TokenProbabilities], float]:
    """The shares of all windows under one softmax over the context's `tokens`.

    In the denominator a token that stands in two windows counts once, with its larger logit, and
    so does [CLS], with the logits of the window where their sum is least: SQuAD v2's null score.
    """
    if not read:
        return [], 0.0
    windows = [window for window, _, _ in read]
    starts = [_context_logits(start, window) for window, start, _ in read]
    ends = [_context_logits(end, window) for window, _, end in read]
    # Of equal sums the one with the lesser start: the order of the windows must not matter.
    null = min(range(len(read)), key=lambda i: (starts[i][0] + ends[i][0], starts[i][0]))
    start_shares, start_null = _shared_softmax(starts, windows, tokens, null)
    end_shares, end_null = _shared_softmax(ends, windows, tokens, null)
    shares = [
        _TokenProbabilities(window, start, end)
        for window, start, end in zip(windows, start_shares, end_shares, strict=True)
    ]
    return shares, start_null * end_null


def _shared_softmax(
    seen: Sequence[Floats], windows: Sequence[Window], tokens: int, null: int
) -> tuple[list[Floats], float]:
    """Shares of each window's tokens, and of [CLS] as the window numbered `null` has it."""
    whole = np.full(1 + tokens, -np.inf)
    whole[0] = seen[null][0]
    for logits, window in zip(seen, windows, strict=True):
        place = slice(1 + window.first, 1 + window.first + window.count)
        np.maximum(whole[place], logits[1:], out=whole[place])
    highest = whole.max()
    total = np.exp(whole - highest).sum()
    shares: list[Floats] = [np.exp(logits[1:] - highest) / total for logits in seen]
    return shares, float(np.exp(whole[0] - highest) / total)


def _window_spans(
    shares: _TokenProbabilities, context: EncodedContext, options: SpanOptions
) -> dict[tuple[int, int], float]:
    """The window's `top_k` best distinct spans: (start, end) in code points to score.

    Several token spans may be one span of text (of one word, say), so more of them are asked for
    until `top_k` distinct ones are found or there are no more.
    """
    window = shares.window
    scores = _banded_products(shares.start, shares.end, options.max_answer_tokens)
    wanted = options.top_k
    while True:
        wanted *= 4
        places: dict[tuple[int, int], float] = {}
        starts, ends, values = _largest(scores, wanted)
        first, last = starts + window.first, ends + window.first
        if options.align_to_words:
            first, last = context.word_first[first], context.word_last[last]
        begin, stop = context.starts[first].tolist(), context.ends[last].tolist()
        for place, score in zip(zip(begin, stop, strict=True), values.tolist(), strict=True):
            if place[0] < place[1] and place not in places:
                places[place] = score
                if len(places) == options.top_k:
                    return places
        if wanted >= scores.size:
            return places


def _banded_products(p_start: Floats, p_end: Floats, max_tokens: int) -> Floats:
    """(n, m): p_start[i] * p_end[i + j] for spans of j + 1 tokens, -1 where i + j is past n."""
    n = len(p_start)
    m = min(max_tokens, n)
    padded = np.concatenate((p_end, np.zeros(m - 1)))
    scores: Floats = p_start[:, None] * sliding_window_view(padded, m)
    row, column = np.triu_indices(m, k=1)
    scores[n - m + column, m - column + row] = -1.0
    return scores


def _largest(scores: Floats, k: int) -> tuple[Ints, Ints, Floats]:
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
