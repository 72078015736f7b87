"""Ranks spans of the context by the logits of its windows. Pure numpy.

On one window the algorithm is that of Hugging Face's question-answering pipeline (transformers
4.57), without its bugs: a span found twice counts once with its best score, so scores stay within
[0, 1]; `top_k` applies after that, so there are `top_k` distinct spans; ties break by position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from schemas.answer import Span
from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.temperature import Softmax
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
WindowLogits = tuple[Window, NDArray[np.float32], NDArray[np.float32]]
"""A window with its start and end logits, (length,) each."""


class LogitsError(Exception):
    """The model returned logits that are not finite."""


class ScoreNormalization(StrEnum):
    """How scores of different windows compare. On a single window both are the same."""

    JOINT = "joint"
    """One softmax over the whole context: spans rank by the sum of their logits, as in the decoder
    behind SQuAD's published figures."""
    PER_WINDOW = "per_window"
    """A softmax for each window, as in Hugging Face's pipeline: a window without an answer still
    gives its best span a high score."""


@dataclass(frozen=True, slots=True)
class SpanOptions:
    """The decoding options of one question.

    With `no_answer` the empty span competes: it wins where
    `log(its score / the best span's score)` is above `no_answer_threshold`. With joint scores
    that is SQuAD v2's rule, the difference of the null logits and the best span's.

    `temperature` is the model's: it changes the scores that spans get, not their order. A best
    span with a score below `min_score` is not taken for an answer.
    """

    top_k: int
    max_answer_tokens: int
    align_to_words: bool
    no_answer: bool
    no_answer_threshold: float = 0.0
    score_normalization: ScoreNormalization = ScoreNormalization.JOINT
    temperature: float = 1.0
    min_score: float = 0.0


@dataclass(frozen=True, slots=True)
class RankedSpan:
    """A span with its score at temperature 1, by which it ranks, and what that comes from."""

    span: Span
    softmax: Softmax | None
    """None for the empty span of a context without a token, whose score is 0."""

    def at_temperature(self, temperature: float) -> Span:
        """The span with the score that an answer shows."""
        if self.softmax is None or temperature == 1.0:
            return self.span
        score = self.softmax.at_temperature(self.span.score, temperature)
        return self.span.model_copy(update={"score": score})


@dataclass(frozen=True, slots=True)
class _TokenProbabilities:
    """Probabilities of a window's context tokens to be start and end, (count,) each."""

    window: Window
    start: Doubles
    end: Doubles
    softmax: Softmax


_Null = tuple[float, Softmax | None]
"""The score of the empty span, and what it comes from."""


def rank_spans(
    text: str, context: EncodedContext, read: Sequence[WindowLogits], options: SpanOptions
) -> list[Span]:
    """Up to `top_k` spans of `text`, best first.

    A span's score is p_start * p_end. Raises `LogitsError` for logits that are not finite.
    """
    ranked = rank(text, context, read, options)
    return [each.at_temperature(options.temperature) for each in ranked]


def rank(
    text: str, context: EncodedContext, read: Sequence[WindowLogits], options: SpanOptions
) -> list[RankedSpan]:
    """As `rank_spans`, before the temperature."""
    for window, start, end in read:
        if not (
            np.isfinite(_context_logits(start, window)).all()
            and np.isfinite(_context_logits(end, window)).all()
        ):
            raise LogitsError("the model returned logits that are not finite")
    softmax = _joint if options.score_normalization is ScoreNormalization.JOINT else _per_window
    probabilities, (nothing, its_softmax) = softmax(read, len(context.ids))
    graphemes = Graphemes(text)
    best: dict[tuple[int, int], tuple[float, Softmax]] = {}
    for each in probabilities:
        for place, score in _window_spans(each, context, graphemes, options).items():
            if place not in best or score > best[place][0]:
                best[place] = score, each.softmax
    spans = [
        RankedSpan(Span(answer=text[start:end], score=min(score, 1.0), start=start, end=end), its)
        for (start, end), (score, its) in best.items()
    ]
    if options.no_answer or not spans:
        empty = Span(answer="", score=min(nothing, 1.0), start=0, end=0)
        spans.append(RankedSpan(empty, its_softmax))
    handicap = exp(-options.no_answer_threshold)

    def order(each: RankedSpan) -> tuple[float, int, int]:
        span = each.span
        return -span.score * (1.0 if span.end else handicap), span.start, span.end

    spans.sort(key=order)
    return spans[: options.top_k]


def _context_logits(logits: NDArray[np.float32], window: Window) -> Doubles:
    """The logits of [CLS] and of the context's tokens, (1 + count,).

    [CLS] is never an answer but stays in the denominator, as in the pipeline: its probability
    lowers every score.
    """
    seen = np.empty(window.count + 1)
    seen[0] = logits[0]
    seen[1:] = logits[window.offset : window.offset + window.count]
    return seen


def _per_window(read: Sequence[WindowLogits], _: int) -> tuple[list[_TokenProbabilities], _Null]:
    """Probabilities for each window, and the smallest p_start[CLS] * p_end[CLS] of all windows."""
    probabilities = []
    # A context without a token (a blank one, say) has no window: the empty span has score 0.
    nothing: _Null = (0.0, None)
    for window, start_logits, end_logits in read:
        start, end = _context_logits(start_logits, window), _context_logits(end_logits, window)
        for seen in (start, end):
            seen -= seen.max()
            np.exp(seen, out=seen)
        softmax = Softmax(start, end)
        start, end = start / start.sum(), end / end.sum()
        probabilities.append(_TokenProbabilities(window, start[1:], end[1:], softmax))
        its_nothing = float(start[0] * end[0])
        if nothing[1] is None or its_nothing < nothing[0]:
            nothing = its_nothing, softmax
    return probabilities, nothing


def _joint(read: Sequence[WindowLogits], tokens: int) -> tuple[list[_TokenProbabilities], _Null]:
    """Probabilities for all windows, with one softmax over the context's `tokens`.

    In the denominator a token in two windows counts once, with its larger logit. So does [CLS],
    with the logits of the window in which their sum is smallest: SQuAD v2's null score.
    """
    if not read:
        return [], (0.0, None)
    windows = [window for window, _, _ in read]
    starts = [_context_logits(start, window) for window, start, _ in read]
    ends = [_context_logits(end, window) for window, _, end in read]
    # Ties break by the smaller start logit: the order of the windows must not matter.
    null = min(range(len(read)), key=lambda i: (starts[i][0] + ends[i][0], starts[i][0]))
    start_probabilities, start_null, all_starts = _joint_softmax(starts, windows, tokens, null)
    end_probabilities, end_null, all_ends = _joint_softmax(ends, windows, tokens, null)
    softmax = Softmax(all_starts, all_ends)
    probabilities = [
        _TokenProbabilities(window, start, end, softmax)
        for window, start, end in zip(windows, start_probabilities, end_probabilities, strict=True)
    ]
    return probabilities, (start_null * end_null, softmax)


def _joint_softmax(
    seen: Sequence[Doubles], windows: Sequence[Window], tokens: int, null: int
) -> tuple[list[Doubles], float, Doubles]:
    """Probabilities of each window's tokens, and of [CLS] with the logit of window `null`; then
    what the denominator sums.
    """
    whole = np.full(1 + tokens, -np.inf)
    whole[0] = seen[null][0]
    for logits, window in zip(seen, windows, strict=True):
        part = slice(1 + window.first, 1 + window.first + window.count)
        np.maximum(whole[part], logits[1:], out=whole[part])
    highest = whole.max()
    summed: Doubles = np.exp(whole - highest)
    total = summed.sum()
    probabilities: list[Doubles] = [np.exp(logits[1:] - highest) / total for logits in seen]
    return probabilities, float(np.exp(whole[0] - highest) / total), summed


def _window_spans(
    probabilities: _TokenProbabilities,
    context: EncodedContext,
    graphemes: Graphemes,
    options: SpanOptions,
) -> dict[tuple[int, int], float]:
    """The window's `top_k` best distinct spans: maps (start, end) in code points to the score.

    A span that divides a grapheme cluster grows to the whole cluster. Several token spans may be
    the same text span (of one word, say), so the search widens until it finds `top_k` distinct
    ones or no more exist.
    """
    window = probabilities.window
    scores = _banded_products(probabilities.start, probabilities.end, options.max_answer_tokens)
    wanted = options.top_k
    while True:
        wanted *= 4
        found: dict[tuple[int, int], float] = {}
        starts, ends, values = _largest(scores, wanted)
        first, last = starts + window.first, ends + window.first
        if options.align_to_words:
            first, last = context.word_first[first], context.word_last[last]
        begin, stop = context.starts[first].tolist(), context.ends[last].tolist()
        for start, end, score in zip(begin, stop, values.tolist(), strict=True):
            if start >= end:
                continue
            span = graphemes.cover(start, end)
            if span not in found:
                found[span] = score
                if len(found) == options.top_k:
                    return found
        if wanted >= scores.size:
            return found


def _banded_products(p_start: Doubles, p_end: Doubles, max_tokens: int) -> Doubles:
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
