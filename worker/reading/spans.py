"""Logits to ranked spans of the context. Pure numpy.

The algorithm is that of Hugging Face's question-answering pipeline (transformers 4.57), without
its bugs: the same span seen twice counts once with its best score, so scores stay within [0, 1];
`top_k` is cut last, so no place is lost; ties break by position.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from schemas.answer import Span
from worker.reading.windows import EncodedContext, Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class LogitsError(Exception):
    """The model gave logits that no probability can be made of."""


@dataclass(frozen=True, slots=True)
class SpanOptions:
    """What counts as an answer, every choice made."""

    top_k: int
    max_answer_tokens: int
    align_to_words: bool
    no_answer: bool


def rank(
    text: str,
    context: EncodedContext,
    read: Sequence[tuple[Window, NDArray[np.float32], NDArray[np.float32]]],
    options: SpanOptions,
) -> list[Span]:
    """Up to `top_k` spans of `text`, best first, from the windows that were read over it.

    `read` holds each window with its start and end logits, (length,) each. A span's score is
    p_start * p_end, both softmaxed over its window; `no_answer` adds the empty span with the
    least p_start[CLS] * p_end[CLS] of any window. Raises `LogitsError` for logits that are not
    finite.
    """
    best: dict[tuple[int, int], float] = {}
    nothing = 1.0
    for window, start_logits, end_logits in read:
        p_start, start_cls = _probabilities(start_logits, window)
        p_end, end_cls = _probabilities(end_logits, window)
        nothing = min(nothing, start_cls * end_cls)
        found = _window_spans(p_start, p_end, window, context, options)
        for place, score in found.items():
            best[place] = max(score, best.get(place, 0.0))
    spans = [
        Span(answer=text[start:end], score=min(score, 1.0), start=start, end=end)
        for (start, end), score in best.items()
    ]
    if options.no_answer or not spans:
        # A context without a readable token (blank, say) has no window: nothing, with score 0.
        score = min(nothing, 1.0) if read else 0.0
        spans.append(Span(answer="", score=score, start=0, end=0))
    spans.sort(key=lambda span: (-span.score, span.start, span.end))
    return spans[: options.top_k]


def _probabilities(logits: NDArray[np.float32], window: Window) -> tuple[Floats, float]:
    """Softmax over [CLS] and the context's tokens: (count,) and the share of [CLS].

    [CLS] is never an answer but stays in the denominator, as in the pipeline: mass on it lowers
    every score of its window.
    """
    allowed = np.empty(window.count + 1)
    allowed[0] = logits[0]
    allowed[1:] = logits[window.offset : window.offset + window.count]
    if not np.isfinite(allowed).all():
        raise LogitsError("the model gave logits that are not finite")
    allowed -= allowed.max()
    np.exp(allowed, out=allowed)
    allowed /= allowed.sum()
    return allowed[1:], float(allowed[0])


def _window_spans(
    p_start: Floats,
    p_end: Floats,
    window: Window,
    context: EncodedContext,
    options: SpanOptions,
) -> dict[tuple[int, int], float]:
    """The window's `top_k` best distinct spans: (start, end) in code points to score.

    Several token spans may be one span of text (of one word, say), so more of them are asked for
    until `top_k` distinct ones are found or there are no more.
    """
    scores = _banded_products(p_start, p_end, options.max_answer_tokens)
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
