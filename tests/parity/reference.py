"""The pipeline's reading of one question, emulated in numpy, each known difference a switch.

With all switches on it gives what transformers 4.57 gives, with all off what our reader gives;
`classes_explained` checks both. It shares no code with the reader.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.parity.classes import Difference
from tests.parity.reference_results import Found, Outcome, Setting
from tests.parity.reference_windows import Differences, Encoded, Encoder, Ints, TokenWindow

Floats = NDArray[Any]
Logits = tuple[NDArray[np.float32], NDArray[np.float32]]
Model = Callable[[TokenWindow], Logits]
"""Start and end logits of a window, (length,) each."""

_MASKED = -10_000.0
_NO_NULL_SCORE = 1_000_000.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    window: int
    start: int
    end: int
    score: float


class Emulation:
    """One question, read under any setting with any switches."""

    def __init__(
        self, encoder: Encoder, question: str, context: str, *, ours: Model, theirs: Model
    ) -> None:
        self._encoder = encoder
        self._question = question
        self._context = context
        self._ours = ours
        self._theirs = theirs
        self._encoded: dict[Differences, Encoded | None] = {}

    def __call__(self, setting: Setting, differences: Differences) -> Outcome:
        if Difference.REFUSED not in differences and self._encoder.rejects(
            self._question, self._context
        ):
            return None
        encoded = self._encode(differences)
        if encoded is None:
            return None
        model = self._theirs if Difference.ROUNDING in differences else self._ours
        try:
            return emulate(encoded, model, setting, differences)
        except ValueError:
            # numpy's, where the pipeline partitions at an index past the end.
            return None

    def _encode(self, differences: Differences) -> Encoded | None:
        key = differences & {Difference.SPECIAL_TOKENS, Difference.STRIDE}
        if key not in self._encoded:
            self._encoded[key] = self._encoder.encode(self._question, self._context, key)
        return self._encoded[key]


def emulate(
    encoded: Encoded, model: Model, setting: Setting, differences: Differences
) -> tuple[Found, ...]:
    """What `postprocess` returns, best first, with `differences` as the pipeline has them."""
    readable = any(window.in_context.any() for window in encoded.windows)
    if not readable and Difference.BLANK not in differences:
        return (Found("", 0.0, 0, 0),)
    candidates: list[_Candidate] = []
    nothing = _NO_NULL_SCORE
    for number, window in enumerate(encoded.windows):
        start, end = (
            _softmax(logits, window.in_context | window.is_cls) for logits in model(window)
        )
        nothing = min(nothing, float(start[0] * end[0]))
        start[0] = end[0] = 0.0
        firsts, lasts, scores = _decode(start, end, window, setting, differences)
        starts, ends = _places(encoded, window, firsts, lasts, setting, differences)
        candidates += [
            _Candidate(number, *found)
            for found in zip(starts.tolist(), ends.tolist(), scores.tolist(), strict=True)
            if Difference.JUNK in differences or found[0] < found[1]
        ]
    spans = [
        (candidate.score, candidate.start, candidate.end)
        for candidate in _merged(encoded.context, candidates, differences)
    ]
    if setting.handle_impossible_answer:
        spans.append((nothing, 0, 0))
    spans.sort(
        key=lambda span: (
            -span[0] if Difference.ORDER in differences else (-span[0], span[1], span[2])
        )
    )
    return tuple(
        Found(encoded.context[start:end], score, start, end)
        for score, start, end in spans[: setting.top_k]
    )


def _softmax(logits: NDArray[np.float32], allowed: NDArray[np.bool_]) -> Floats:
    masked = np.where(allowed, logits, np.float32(_MASKED))
    powers = np.exp(masked - masked.max())
    shares: Floats = powers / powers.sum()
    return shares


def _decode(
    start: Floats, end: Floats, window: TokenWindow, setting: Setting, differences: Differences
) -> tuple[Ints, Ints, Floats]:
    """First and last tokens and scores of the window's spans, best first."""
    products = np.tril(np.triu(np.outer(start, end)), setting.max_answer_len - 1)
    possible = window.in_context | window.is_cls
    if Difference.JUNK in differences:
        # The pipeline looks for a token among the indices of a matrix's non-zero elements, and
        # so among its row numbers too: token 0 is always found.
        possible[0] = True
        valid = np.logical_and.outer(possible, possible)
    else:
        possible[0] = False
        valid = np.logical_and.outer(possible, possible)
        valid = np.tril(np.triu(valid), setting.max_answer_len - 1)
    if Difference.CUT_FIRST in differences:
        wanted = setting.top_k * 2 + 10 if setting.align_to_words else setting.top_k
        chosen = _largest(products.ravel(), wanted)
        chosen = chosen[valid.ravel()[chosen]]
    else:
        chosen = np.flatnonzero(valid)
        chosen = chosen[np.argsort(-products.ravel()[chosen], kind="stable")]
    firsts, lasts = np.unravel_index(chosen, products.shape)
    return firsts, lasts, products[firsts, lasts]


def _largest(scores: Floats, count: int) -> Ints:
    """The pipeline's own choice, ties and all."""
    if count == 1:
        return np.array([np.argmax(scores)])
    if len(scores) < count:
        return np.argsort(-scores)
    best = np.argpartition(-scores, count)[:count]
    return best[np.argsort(-scores[best])]


def _places(
    encoded: Encoded,
    window: TokenWindow,
    firsts: Ints,
    lasts: Ints,
    setting: Setting,
    differences: Differences,
) -> tuple[Ints, Ints]:
    """Where spans of tokens start and end in the context, in code points."""
    starts, ends = window.offsets[firsts, 0], window.offsets[lasts, 1]
    if setting.align_to_words:
        whole = Difference.WORD_IN_WINDOW not in differences
        places = encoded.word_places if whole else window.word_places
        words = window.words.tolist()
        grown = np.array([word in places for word in words])
        bounds = np.array([places.get(word, (0, 0)) for word in words])
        both = grown[firsts] & grown[lasts]
        starts = np.where(both, bounds[firsts, 0], starts)
        ends = np.where(both, bounds[lasts, 1], ends)
    if Difference.MARKS not in differences and not encoded.context.isascii():
        starts = encoded.cluster_starts[starts]
        ends = encoded.cluster_ends[encoded.behind_marks[ends]]
    return starts, ends


def _merged(
    text: str, candidates: Sequence[_Candidate], differences: Differences
) -> Iterable[_Candidate]:
    """Candidates that are one answer made one, in the order of the first of each."""
    merged = _merge(
        candidates,
        lambda one: (one.window, one.start, one.end),
        add=Difference.ADD_WORD in differences,
    )
    merged = _merge(
        merged, lambda one: (one.start, one.end), add=Difference.ADD_WINDOWS in differences
    )
    if Difference.ADD_TEXT in differences:
        merged = _merge(merged, lambda one: text[one.start : one.end].lower(), add=True)
    return merged


def _merge(
    candidates: Iterable[_Candidate], key: Callable[[_Candidate], Hashable], *, add: bool
) -> Iterable[_Candidate]:
    merged: dict[Hashable, _Candidate] = {}
    for one in candidates:
        known = merged.setdefault(key(one), one)
        if known is not one:
            score = known.score + one.score if add else max(known.score, one.score)
            merged[key(one)] = _Candidate(known.window, known.start, known.end, score)
    return merged.values()
