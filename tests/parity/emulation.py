"""Emulates pipeline and worker in numpy. Each known difference between them is a switch.

The result is transformers 4.57's with all switches on, and the worker's with all switches off;
`explain.py` checks both. The emulation shares no code with the worker.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.parity.differences import Difference
from tests.parity.emulation_windows import Differences, Encoded, Encoder, Ints, TokenWindow
from tests.parity.pipeline_results import AnswerSpan, Outcome, Setting

Floats = NDArray[Any]
Logits = tuple[NDArray[np.float32], NDArray[np.float32]]
Model = Callable[[TokenWindow], Logits]
"""Returns start and end logits of a window, (length,) each."""

_MASKED = -10_000.0
_NO_NULL_SCORE = 1_000_000.0


class _Candidate(NamedTuple):
    window: int
    start: int
    end: int
    score: float


class Emulation:
    """The emulation of one question. It is called with a setting and the switches that are on."""

    def __init__(
        self,
        encoder: Encoder,
        question: str,
        context: str,
        *,
        worker_model: Model,
        pipeline_model: Model,
    ) -> None:
        self._encoder = encoder
        self._question = question
        self._context = context
        self._worker_model = worker_model
        self._pipeline_model = pipeline_model
        self._encoded: dict[Differences, Encoded | None] = {}

    def __call__(self, setting: Setting, differences: Differences) -> Outcome:
        """Returns the outcome, or `None` if the question is rejected or the pipeline raises."""
        if Difference.REJECTED_QUESTION not in differences and self._encoder.rejects(
            self._question, self._context
        ):
            return None
        encoded = self._encode(differences)
        if encoded is None:
            return None
        rounded = Difference.ROUNDING in differences
        model = self._pipeline_model if rounded else self._worker_model
        try:
            return emulate(encoded, model, setting, differences)
        except ValueError:
            # numpy raises it, as in the pipeline, for a partition at an index past the end.
            return None

    def _encode(self, differences: Differences) -> Encoded | None:
        key = differences & {Difference.SPECIAL_TOKENS, Difference.STRIDE}
        if key not in self._encoded:
            self._encoded[key] = self._encoder.encode(self._question, self._context, key)
        return self._encoded[key]


def emulate(
    encoded: Encoded, model: Model, setting: Setting, differences: Differences
) -> tuple[AnswerSpan, ...]:
    """Returns the spans, best first, as the pipeline's `postprocess` does."""
    readable = any(window.in_context.any() for window in encoded.windows)
    if not readable and Difference.BLANK_CONTEXT not in differences:
        return (AnswerSpan("", 0.0, 0, 0),)
    impossible = Difference.IMPOSSIBLE_SPANS in differences
    candidates: list[_Candidate] = []
    no_answer_score = _NO_NULL_SCORE
    for number, window in enumerate(encoded.windows):
        start, end = (
            _softmax(logits, window.in_context | window.is_cls) for logits in model(window)
        )
        no_answer_score = min(no_answer_score, float(start[0] * end[0]))
        start[0] = end[0] = 0.0
        firsts, lasts, scores = _decode(start, end, window, setting, differences)
        starts, ends = _char_ranges(encoded, window, firsts, lasts, setting, differences)
        candidates += [
            _Candidate(number, start_char, end_char, score)
            for start_char, end_char, score in zip(
                starts.tolist(), ends.tolist(), scores.tolist(), strict=True
            )
            if impossible or start_char < end_char
        ]
    spans = [
        (candidate.score, candidate.start, candidate.end)
        for candidate in _merged(encoded.context, candidates, differences)
    ]
    if setting.handle_impossible_answer:
        spans.append((no_answer_score, 0, 0))
    if Difference.TIE_ORDER in differences:
        spans.sort(key=lambda span: -span[0])
    else:
        spans.sort(key=lambda span: (-span[0], span[1], span[2]))
    return tuple(
        AnswerSpan(encoded.context[start:end], score, start, end)
        for score, start, end in spans[: setting.top_k]
    )


def _softmax(logits: NDArray[np.float32], allowed: NDArray[np.bool_]) -> Floats:
    masked = np.where(allowed, logits, np.float32(_MASKED))
    powers = np.exp(masked - masked.max())
    probabilities: Floats = powers / powers.sum()
    return probabilities


def _decode(
    start: Floats, end: Floats, window: TokenWindow, setting: Setting, differences: Differences
) -> tuple[Ints, Ints, Floats]:
    """Returns first tokens, last tokens and scores of the window's spans, best first."""
    products = np.tril(np.triu(np.outer(start, end)), setting.max_answer_len - 1)
    possible = window.in_context | window.is_cls
    if Difference.IMPOSSIBLE_SPANS in differences:
        # The pipeline searches token indices in the array of a matrix's non-zero indices, which
        # contains row indices too, so it always finds token 0.
        possible[0] = True
        valid = np.logical_and.outer(possible, possible)
    else:
        possible[0] = False
        valid = np.logical_and.outer(possible, possible)
        valid = np.tril(np.triu(valid), setting.max_answer_len - 1)
    if Difference.LIMIT_BEFORE_MERGE in differences:
        count = setting.top_k * 2 + 10 if setting.align_to_words else setting.top_k
        chosen = _largest(products.ravel(), count)
        chosen = chosen[valid.ravel()[chosen]]
    else:
        chosen = np.flatnonzero(valid)
        chosen = chosen[np.argsort(-products.ravel()[chosen], kind="stable")]
    firsts, lasts = np.unravel_index(chosen, products.shape)
    return firsts, lasts, products[firsts, lasts]


def _largest(scores: Floats, count: int) -> Ints:
    """Returns the indices of the largest scores, with the pipeline's order of ties."""
    if count == 1:
        return np.array([np.argmax(scores)])
    if len(scores) < count:
        return np.argsort(-scores)
    best = np.argpartition(-scores, count)[:count]
    return best[np.argsort(-scores[best])]


def _char_ranges(
    encoded: Encoded,
    window: TokenWindow,
    firsts: Ints,
    lasts: Ints,
    setting: Setting,
    differences: Differences,
) -> tuple[Ints, Ints]:
    """Returns starts and ends of token spans in the context, in code points."""
    starts, ends = window.offsets[firsts, 0], window.offsets[lasts, 1]
    if setting.align_to_words:
        whole_words = Difference.CUT_WORD not in differences
        ranges = encoded.word_ranges if whole_words else window.word_ranges
        words = window.words.tolist()
        in_word = np.array([word in ranges for word in words])
        bounds = np.array([ranges.get(word, (0, 0)) for word in words])
        both = in_word[firsts] & in_word[lasts]
        starts = np.where(both, bounds[firsts, 0], starts)
        ends = np.where(both, bounds[lasts, 1], ends)
    if Difference.GRAPHEME_CLUSTERS not in differences and not encoded.context.isascii():
        starts = encoded.cluster_starts[starts]
        ends = encoded.cluster_ends[encoded.end_after_marks[ends]]
    return starts, ends


def _merged(
    text: str, candidates: Sequence[_Candidate], differences: Differences
) -> Iterable[_Candidate]:
    """Merges candidates for the same answer. The order is that of their first candidates."""
    merged = _merge(
        candidates,
        lambda span: (span.window, span.start, span.end),
        add=Difference.SUM_SAME_WORD in differences,
    )
    merged = _merge(
        merged, lambda span: (span.start, span.end), add=Difference.SUM_WINDOWS in differences
    )
    if Difference.SUM_SAME_TEXT in differences:
        merged = _merge(merged, lambda span: text[span.start : span.end].lower(), add=True)
    return merged


def _merge(
    candidates: Iterable[_Candidate], key: Callable[[_Candidate], Hashable], *, add: bool
) -> Iterable[_Candidate]:
    """Merges candidates with equal keys. Their score is the sum (`add`) or the maximum."""
    merged: dict[Hashable, _Candidate] = {}
    for candidate in candidates:
        of_candidate = key(candidate)
        first = merged.setdefault(of_candidate, candidate)
        if first is not candidate:
            scores = first.score, candidate.score
            score = sum(scores) if add else max(scores)
            merged[of_candidate] = _Candidate(first.window, first.start, first.end, score)
    return merged.values()
