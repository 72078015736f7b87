"""Ranks spans of passages by the logits of their windows. Pure numpy. A context is one passage.

On one window the algorithm is that of Hugging Face's question-answering pipeline (transformers
4.57), without its bugs: a span found twice counts once with its best score, so scores stay within
[0, 1]; `top_k` applies after that, so there are `top_k` distinct spans; ties break by position.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from schemas.answer import Span
from worker.inference.question_answering.candidates import (
    Candidate,
    Competitor,
    ReadPassage,
    WindowLogits,
)
from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.overlap import OverlapOptions, choose_apart
from worker.inference.question_answering.temperature import Denominator, Softmax
from worker.inference.question_answering.window_spans import (
    Doubles,
    TokenProbabilities,
    best_spans,
)
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window


class LogitsError(Exception):
    """The model returned logits that are not finite."""


class ScoreNormalization(StrEnum):
    """How scores of different windows compare. On a single window both are the same."""

    JOINT = "joint"
    """One softmax over all passages: spans rank by the sum of their logits, as in the decoder
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

    `per_context` bounds the spans of each passage that compete; None: no bound. Below 1, `overlap`
    drops a span that shares more than this part of its characters, or of the other's, with a
    better span of its passage. `retriever_weight` multiplies the score of a span by its passage's
    `retriever_score` to this power; the empty span has no passage and keeps its score.

    `temperature` is the calibrated model's: with joint scores it changes the scores that spans
    get, and never their order. A best span with a score below `min_score` is not taken for an
    answer.
    """

    top_k: int
    max_answer_tokens: int
    align_to_words: bool
    no_answer: bool
    no_answer_threshold: float = 0.0
    score_normalization: ScoreNormalization = ScoreNormalization.JOINT
    per_context: int | None = None
    overlap: float = 1.0
    retriever_weight: float = 0.0
    temperature: float = 1.0
    min_score: float = 0.0


def rank_spans(
    text: str, context: EncodedContext, read: Sequence[WindowLogits], options: SpanOptions
) -> list[Span]:
    """Up to `top_k` spans of one context, as `rank_passages` ranks those of its only passage."""
    return rank_passages([ReadPassage(text, context, read)], options)


def rank_passages(passages: Sequence[ReadPassage], options: SpanOptions) -> list[Span]:
    """Up to `top_k` spans of all passages, best first.

    A span's score is p_start * p_end. In another order of the passages the same spans have other
    indexes, and nothing else differs. Raises `LogitsError` for logits that are not finite.
    """
    spans, _ = rank_with_softmax(passages, options)
    return spans


def rank_with_softmax(
    passages: Sequence[ReadPassage], options: SpanOptions
) -> tuple[list[Span], Softmax | None]:
    """As `rank_passages`, and what their scores come from; None without windows or without joint
    scores.
    """
    softmax: Softmax | None = None
    seen = [[_seen_window(*each) for each in passage.read] for passage in passages]
    if options.score_normalization is ScoreNormalization.JOINT:
        tokens = [len(passage.context.ids) for passage in passages]
        probabilities, nothing, softmax = _joint(seen, tokens)
    else:
        probabilities, nothing = _per_window(seen)
    candidates = _candidates(passages, probabilities, options)
    nothing = min(nothing, 1.0)
    if options.no_answer or not candidates:
        handicap = exp(-options.no_answer_threshold)
        candidates.append(Candidate(-nothing * handicap, -inf, 0, 0, "", "", _NO_PASSAGE))
    candidates.sort()
    tempered = softmax.at_temperature(options.temperature) if softmax else float
    spans = [
        Span(answer="", score=tempered(nothing), start=0, end=0)
        if index == _NO_PASSAGE
        else Span(
            answer=text[start:end],
            score=tempered(-minus_score) * _factor(passages[index], options),
            start=start,
            end=end,
            context_index=index,
            context_id=passages[index].id,
        )
        for _, minus_score, start, end, text, _, index in candidates[: options.top_k]
    ]
    return spans, softmax


_NO_PASSAGE = -1


def _candidates(
    passages: Sequence[ReadPassage],
    probabilities: Sequence[Sequence[TokenProbabilities]],
    options: SpanOptions,
) -> list[Candidate]:
    """The spans that compete, in any order; the `top_k` best ones are among them."""
    competitors = [
        Competitor(passage, index, _factor(passage, options))
        for index, passage in enumerate(passages)
    ]
    most = min(options.top_k, options.per_context or options.top_k)
    if options.overlap < 1.0:
        return choose_apart(
            competitors,
            probabilities,
            OverlapOptions(
                top_k=options.top_k,
                per_context=most,
                overlap=options.overlap,
                max_answer_tokens=options.max_answer_tokens,
                align_to_words=options.align_to_words,
            ),
        )
    candidates = []
    for competitor, windows in zip(competitors, probabilities, strict=True):
        graphemes = Graphemes(competitor.passage.text)
        best: dict[tuple[int, int], float] = {}
        for each in windows:
            found = best_spans(
                each,
                competitor.passage.context,
                graphemes,
                most,
                max_answer_tokens=options.max_answer_tokens,
                align_to_words=options.align_to_words,
            )
            for span, score in found.items():
                best[span] = max(score, best.get(span, 0.0))
        own = [competitor.candidate(score, *span) for span, score in best.items()]
        candidates += own if len(own) <= most else sorted(own)[:most]
    return candidates


def _factor(passage: ReadPassage, options: SpanOptions) -> float:
    """By which the scores of the passage's spans are multiplied."""
    score = passage.retriever_score
    return 1.0 if score is None else score**options.retriever_weight


_SeenWindow = tuple[Window, Doubles, Doubles]
"""A window with the start and end logits of [CLS] and of the context's tokens, (1 + count,) each.

[CLS] is never an answer but stays in the denominator, as in the pipeline: its probability lowers
every score.
"""


def _seen_window(
    window: Window, start: NDArray[np.float32], end: NDArray[np.float32]
) -> _SeenWindow:
    starts, ends = _context_logits(start, window), _context_logits(end, window)
    if not (np.isfinite(starts).all() and np.isfinite(ends).all()):
        raise LogitsError("the model returned logits that are not finite")
    return window, starts, ends


def _context_logits(logits: NDArray[np.float32], window: Window) -> Doubles:
    seen = np.empty(window.count + 1)
    seen[0] = logits[0]
    seen[1:] = logits[window.offset : window.offset + window.count]
    return seen


def _per_window(
    seen: Sequence[Sequence[_SeenWindow]],
) -> tuple[list[list[TokenProbabilities]], float]:
    """Probabilities for each window of each passage, and the smallest p_start[CLS] * p_end[CLS] of
    all windows. Overwrites the logits.
    """
    probabilities: list[list[TokenProbabilities]] = []
    # Passages without a token (a blank context, say) have no window: the empty span has score 0.
    nothing = 1.0 if any(seen) else 0.0
    for of_passage in seen:
        probabilities.append([])
        for window, start, end in of_passage:
            for logits in (start, end):
                logits -= logits.max()
                np.exp(logits, out=logits)
                logits /= logits.sum()
            probabilities[-1].append(TokenProbabilities(window, start[1:], end[1:]))
            nothing = min(nothing, float(start[0] * end[0]))
    return probabilities, nothing


def _joint(
    seen: Sequence[Sequence[_SeenWindow]], tokens: Sequence[int]
) -> tuple[list[list[TokenProbabilities]], float, Softmax | None]:
    """Probabilities for all windows of each passage, with one softmax over all passages, of
    `tokens` tokens each; that of the empty span; the softmax.

    In the denominator a token in two windows counts once, with its larger logit. So does [CLS],
    with the logits of the window in which their sum is smallest: SQuAD v2's null score.
    """
    nulls = [(start[0], end[0]) for of_passage in seen for _, start, end in of_passage]
    if not nulls:
        return [[] for _ in seen], 0.0, None
    # Ties break by the smaller start logit: the order of the windows must not matter.
    null = min(nulls, key=lambda both: (both[0] + both[1], *both))
    starts, ends = _denominator(seen, tokens, 1, null[0]), _denominator(seen, tokens, 2, null[1])
    start_top, start_total = starts.highest, starts.total
    end_top, end_total = ends.highest, ends.total
    probabilities = [
        [
            TokenProbabilities(
                window,
                np.exp(start[1:] - start_top) / start_total,
                np.exp(end[1:] - end_top) / end_total,
            )
            for window, start, end in of_passage
        ]
        for of_passage in seen
    ]
    nothing = np.exp(null[0] - start_top) / start_total * (np.exp(null[1] - end_top) / end_total)
    return probabilities, float(nothing), Softmax(starts, ends)


def _denominator(
    seen: Sequence[Sequence[_SeenWindow]],
    tokens: Sequence[int],
    side: Literal[1, 2],
    null: np.float64,
) -> Denominator:
    """That of the start or the end logits. `null` is the logit of [CLS]."""
    wholes = []
    for of_passage, count in zip(seen, tokens, strict=True):
        whole = np.full(1 + count, -np.inf)
        whole[0] = null
        for each in of_passage:
            window = each[0]
            part = whole[1 + window.first : 1 + window.first + window.count]
            np.maximum(part, each[side][1:], out=part)
        wholes.append(whole)
    highest = max(whole.max() for whole in wholes)
    return Denominator(wholes, null, highest)
