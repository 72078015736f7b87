"""Chooses the best spans that do not overlap others of their passage.

Haystack's `ExtractiveReader` drops spans after it has cut each window to its best few, and then
returns fewer spans than asked for. Here a window is searched again for each span that was dropped,
so there are as many spans as asked for, or as there are. A window is searched only when a span
that was chosen covers its best one.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from worker.inference.question_answering.candidates import Candidate, Competitor
from worker.inference.question_answering.graphemes import Graphemes
from worker.inference.question_answering.window_spans import (
    Ints,
    TokenProbabilities,
    banded_products,
)


@dataclass(frozen=True, slots=True)
class OverlapOptions:
    """How spans are chosen: `top_k` of all, at most `per_context` of each passage, no two of a
    passage that share more than `overlap` (below 1) of either's characters.
    """

    top_k: int
    per_context: int
    overlap: float
    max_answer_tokens: int
    align_to_words: bool


@dataclass(slots=True)
class _Chosen:
    """The spans of one passage that were chosen."""

    competitor: Competitor
    graphemes: Graphemes
    places: list[tuple[int, int]] = field(default_factory=list)


def choose_apart(
    competitors: Sequence[Competitor],
    probabilities: Sequence[Sequence[TokenProbabilities]],
    options: OverlapOptions,
) -> list[Candidate]:
    """The chosen spans, best first. `probabilities` are those of each passage's windows.

    A span is dropped if it overlaps a better one that was not dropped itself.
    """
    windows = [
        _SearchedWindow(each, chosen, options)
        for chosen, of_passage in zip(
            (_Chosen(each, Graphemes(each.passage.text)) for each in competitors),
            probabilities,
            strict=True,
        )
        for each in of_passage
    ]
    # The best span of each window, as it was when the window was searched: never too low.
    best = [
        (candidate, number)
        for number, window in enumerate(windows)
        if (candidate := window.best()) is not None
    ]
    heapq.heapify(best)
    found: list[Candidate] = []
    while best and len(found) < options.top_k:
        candidate, number = heapq.heappop(best)
        window = windows[number]
        if len(window.chosen.places) == options.per_context:
            continue
        if not window.overlaps(candidate):
            found.append(candidate)
            window.chosen.places.append((candidate.start, candidate.end))
        if (following := window.best()) is not None:
            heapq.heappush(best, (following, number))
    return found


class _SearchedWindow:
    """One window: its best span that overlaps none of those chosen in its passage."""

    def __init__(
        self, probabilities: TokenProbabilities, chosen: _Chosen, options: OverlapOptions
    ) -> None:
        self.chosen = chosen
        self._probabilities = probabilities
        self._options = options
        window, context = probabilities.window, chosen.competitor.passage.context
        first = last = np.arange(window.first, window.first + window.count)
        if options.align_to_words:
            first, last = context.word_first[first], context.word_last[last]
        # Where a span that begins with a token starts, and where one that it ends does, (count,).
        self._starts, self._ends = context.starts[first], context.ends[last]
        whole = [
            chosen.graphemes.cover(start, end)
            for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True)
        ]
        self._whole_starts, self._whole_ends = np.array(whole, np.int64).reshape(-1, 2).T

    def overlaps(self, candidate: Candidate) -> bool:
        """Whether a span overlaps one that was chosen."""
        start, end, share = candidate.start, candidate.end, self._options.overlap
        return any(bool(_overlap(start, end, place, share)) for place in self.chosen.places)

    def best(self) -> Candidate | None:
        """None if every span overlaps one that was chosen."""
        # Made anew each time: the spans of all windows together would take too much memory.
        read = self._probabilities
        scores = banded_products(read.start, read.end, self._options.max_answer_tokens)
        longest = scores.shape[1]
        scores[self._starts[:, None] >= _by_length(self._ends, longest)] = -1.0
        starts, ends = self._whole_starts[:, None], _by_length(self._whole_ends, longest)
        for place in self.chosen.places:
            if place[0] < self._whole_ends.max() and self._whole_starts.min() < place[1]:
                scores[_overlap(starts, ends, place, self._options.overlap)] = -1.0
        highest = float(scores.max())
        if highest < 0.0:
            return None
        rows, columns = np.nonzero(scores == highest)
        places = zip(starts[rows, 0].tolist(), ends[rows, columns].tolist(), strict=True)
        return self.chosen.competitor.candidate(highest, *min(places))


def _by_length(ends: Ints, longest: int) -> Ints:
    """(n, longest): ends[i + j] for spans of j + 1 tokens, 0 where i + j is past n."""
    return sliding_window_view(np.concatenate((ends, np.zeros(longest - 1, np.int64))), longest)


def _overlap(starts: Any, ends: Any, place: tuple[int, int], share: float) -> Any:
    """Whether spans share more than `share` of their characters, or of the place's, with it."""
    start, end = place
    common = np.minimum(ends, end) - np.maximum(starts, start)
    return (common > share * (end - start)) | (common > share * (ends - starts))
