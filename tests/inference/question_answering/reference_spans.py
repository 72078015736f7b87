"""What `spans` must equal, written down naively: two loops over all pairs of tokens.

A softmax for each window gives Hugging Face's question-answering pipeline (transformers 4.57),
less its bugs: spans are told apart by place and not by text, and `top_k` is cut last. A joint
softmax gives the ranking by summed logits of the decoder for SQuAD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from schemas.answer import Span
from worker.inference.question_answering.spans import ScoreNormalization, SpanOptions
from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window, window_starts

Read = tuple[Window, NDArray[np.float32], NDArray[np.float32]]

Shares = tuple[NDArray[np.float64], NDArray[np.float64]]

QUESTION = 3
"""Tokens of the question in windows made here."""


@dataclass(frozen=True, slots=True)
class Case:
    """A context as tokens, and its windows with their logits."""

    text: str
    context: EncodedContext
    read: list[Read]


def reference(case: Case, options: SpanOptions) -> list[Span]:
    scores, nothing = reference_scores([case], options)
    spans = [
        Span(answer=case.text[first:last], score=score, start=first, end=last, context_index=0)
        for (_, first, last), score in scores.items()
    ]
    if options.no_answer:
        spans.append(Span(answer="", score=nothing, start=0, end=0))

    def order(span: Span) -> tuple[float, int, int]:
        worth = span.score if span.end else span.score * exp(-options.no_answer_threshold)
        return -worth, span.start, span.end

    return sorted(spans, key=order)[: options.top_k]


def reference_scores(
    cases: Sequence[Case], options: SpanOptions
) -> tuple[dict[tuple[int, int, int], float], float]:
    """The score of each span by passage, start and end; the score of the empty span."""
    scores: dict[tuple[int, int, int], float] = {}
    joint = options.score_normalization is ScoreNormalization.JOINT
    shares, nothing = _jointly(cases) if joint else _by_window(cases)
    windows = [(index, case, read) for index, case in enumerate(cases) for read in case.read]
    for (index, case, (window, _, _)), (start, end) in zip(windows, shares, strict=True):
        for i in range(window.count):
            for j in range(i, min(i + options.max_answer_tokens, window.count)):
                score = float(start[i] * end[j])
                place = _place(case.context, window.first + i, window.first + j, options)
                scores[index, *place] = max(score, scores.get((index, *place), 0.0))
    return scores, nothing


def _by_window(cases: Sequence[Case]) -> tuple[list[Shares], float]:
    both = [
        (_softmax(start, window), _softmax(end, window))
        for case in cases
        for window, start, end in case.read
    ]
    nothing = min(float(start[0] * end[0]) for start, end in both)
    return [(start[1:], end[1:]) for start, end in both], nothing


def _jointly(cases: Sequence[Case]) -> tuple[list[Shares], float]:
    """One distribution over all tokens of all contexts and one [CLS]."""
    windows = [(index, *read) for index, case in enumerate(cases) for read in case.read]
    cls = min(((float(s[0]), float(e[0])) for _, _, s, e in windows), key=lambda c: (sum(c), c[0]))
    totals, tops = [], []
    for side in (0, 1):
        logits = {(-1, 0): cls[side]}
        for index, window, *pair in windows:
            for i in range(window.count):
                value = float(pair[side][window.offset + i])
                place = (index, window.first + i)
                logits[place] = max(value, logits.get(place, value))
        ordered = np.array([logits[place] for place in sorted(logits)])
        tops.append(ordered.max())
        totals.append(np.exp(ordered - tops[-1]).sum())
    shares = []
    for _, window, *pair in windows:
        context = [
            values[window.offset : window.offset + window.count].astype(np.float64)
            for values in pair
        ]
        start, end = (
            np.exp(values - top) / total
            for values, top, total in zip(context, tops, totals, strict=True)
        )
        shares.append((start, end))
    start, end = (
        np.exp(value - top) / total for value, top, total in zip(cls, tops, totals, strict=True)
    )
    return shares, float(start * end)


def _softmax(logits: NDArray[np.float32], window: Window) -> NDArray[np.float64]:
    """Over [CLS], in front, and the context's tokens: the pipeline masks all others away."""
    context = logits[window.offset : window.offset + window.count]
    unmasked = np.concatenate(([logits[0]], context)).astype(np.float64)
    powers = np.exp(unmasked - unmasked.max())
    shares: NDArray[np.float64] = powers / powers.sum()
    return shares


def _place(context: EncodedContext, first: int, last: int, options: SpanOptions) -> tuple[int, int]:
    if options.align_to_words:
        first, last = int(context.word_first[first]), int(context.word_last[last])
    return int(context.starts[first]), int(context.ends[last])


def case(
    words: Sequence[Sequence[int]], *, capacity: int, stride: int, seed: int, levels: int
) -> Case:
    """A context of `words`, each the lengths of its tokens' texts, and random logits.

    `levels` is how many different logits there are: few of them make many ties. A token of
    length 0 has the text of the token before it, as the letters of one Korean syllable have.
    """
    text = ""
    places: list[tuple[int, int]] = []
    bounds: list[tuple[int, int]] = []
    for word in words:
        begin = len(places)
        for length in word:
            if length or len(places) == begin:
                places.append((len(text), len(text) + max(length, 1)))
                text += "abcdefgh"[len(places) % 8] * max(length, 1)
            else:
                places.append(places[-1])
        bounds += [(begin, len(places) - 1)] * len(word)
        text += " "
    starts, ends = np.array(places, np.int64).T
    firsts, lasts = np.array(bounds, np.int64).T
    context = EncodedContext(np.arange(len(starts)), starts, ends, firsts, lasts)
    random = np.random.default_rng(seed)
    read = []
    for first, count in window_starts(len(starts), capacity, stride):
        length = QUESTION + 3 + count
        window = Window(
            ids=np.zeros(length, np.int64),
            types=np.zeros(length, np.int64),
            offset=QUESTION + 2,
            first=first,
            count=count,
        )
        start, end = random.integers(0, levels, (2, length)).astype(np.float32) * (12 / levels)
        read.append((window, start, end))
    return Case(text, context, read)
