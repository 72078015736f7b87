"""A passage that the model read, and its spans that compete for the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.inference.question_answering.windows import EncodedContext
from worker.inference.window import Window

WindowLogits = tuple[Window, NDArray[np.float32], NDArray[np.float32]]
"""A window with its start and end logits, (length,) each."""


@dataclass(frozen=True, slots=True)
class ReadPassage:
    """A passage with its tokens and its windows' logits."""

    text: str
    context: EncodedContext
    read: Sequence[WindowLogits]
    """Empty for a passage without a token. `first` of a window counts in this passage."""
    id: str | None = None
    retriever_score: float | None = None
    """From 0 to 1; None counts as 1."""


class Candidate(NamedTuple):
    """A span that competes. Candidates sort in the order of the answer, best first.

    Ties break by position, then by the passage's text and id. The index decides last, so that the
    order of the passages decides nothing but between equal passages.
    """

    minus_worth: float
    """By which spans of all passages compete, negated: the score times the passage's factor."""
    minus_score: float
    """The model's probability, negated. It decides where a factor makes products equal."""
    start: int
    end: int
    text: str
    id: str
    context_index: int


@dataclass(frozen=True, slots=True)
class Competitor:
    """What the candidates of one passage have in common."""

    passage: ReadPassage
    index: int
    factor: float
    """The retriever's score to the power of its weight."""

    def candidate(self, score: float, start: int, end: int) -> Candidate:
        """`score` is the model's probability of the span from `start` to `end`."""
        # Rounding may take a product of probabilities past 1.
        score = min(score, 1.0)
        passage = self.passage
        worth = -score * self.factor
        return Candidate(worth, -score, start, end, passage.text, passage.id or "", self.index)
