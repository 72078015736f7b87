"""Measures a model: its windows alone and in batches, and its results beside another model's.

Returns figures. The caller decides which are good enough.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.answer import Answer
from schemas.embedding import Embedding
from schemas.event import Outcome
from schemas.rejection import Rejected
from worker.inference.onnx_session import OnnxSession, Outputs
from worker.inference.window import Window
from worker.model_tools.evaluation.unbatched import UnbatchedResult
from worker.models.bundle import BundleError

BATCH = 4
"""Windows in a batch of `batch_difference`."""


def batch_difference(session: OnnxSession, windows: Sequence[Window]) -> float:
    """The largest difference between a window's outputs alone and in a batch; 0 if there is none.

    Batches hold windows of different lengths, so that most windows are padded.
    """
    shuffled = list(windows)
    random.Random(0).shuffle(shuffled)  # noqa: S311
    largest = 0.0
    for begin in range(0, len(shuffled), BATCH):
        batch = shuffled[begin : begin + BATCH]
        for window, in_batch in zip(batch, session.run(batch), strict=True):
            largest = max(largest, output_difference(session.run([window])[0], in_batch))
    return largest


def output_difference(one: Outputs, other: Outputs) -> float:
    """The largest difference of two numbers; infinite if one of them is NaN.

    Raises `BundleError` for outputs of different shapes.
    """
    shapes = [[output.shape for output in outputs] for outputs in (one, other)]
    if shapes[0] != shapes[1]:
        raise BundleError(f"outputs of the shapes {shapes[0]} and {shapes[1]} cannot be compared")
    largest = 0.0
    for left, right in zip(one, other, strict=True):
        with np.errstate(invalid="ignore"):
            difference = float(np.abs(left - right).max(initial=0.0))
        largest = max(largest, np.inf if np.isnan(difference) else difference)
    return largest


@dataclass(slots=True)
class Comparison:
    """The differences of two models over the events that were added."""

    events: int = 0
    equal: int = 0
    """Answers with the same offsets in the same passage, embeddings with the same numbers, or the
    same rejection.
    """
    numbers: int = 0
    total: float = 0.0
    """Sum of the absolute differences of all outputs."""
    largest: float = 0.0
    least_cosine: float = 1.0
    """Of embeddings."""

    @property
    def mean(self) -> float:
        """Mean absolute difference of the outputs."""
        return self.total / self.numbers if self.numbers else 0.0

    @property
    def share_equal(self) -> float:
        return self.equal / self.events if self.events else 1.0

    def add(self, one: UnbatchedResult, other: UnbatchedResult) -> None:
        """Add both models' results of one event.

        Raises `BundleError` if the windows differ, so that outputs cannot be compared.
        """
        self.events += 1
        self.equal += _equal(one.outcome, other.outcome)
        if isinstance(one.outcome, Embedding) and isinstance(other.outcome, Embedding):
            self.least_cosine = min(self.least_cosine, _cosine(one.outcome, other.outcome))
        if [len(window) for window in one.windows] != [len(window) for window in other.windows]:
            raise BundleError("the two models' tokenizers split a text differently")
        for left, right in zip(one.outputs, other.outputs, strict=True):
            self.largest = max(self.largest, output_difference(left, right))
            for a, b in zip(left, right, strict=True):
                self.total += float(np.abs(a - b).sum())
                self.numbers += a.size


def _equal(one: Outcome | Rejected, other: Outcome | Rejected) -> bool:
    match one, other:
        case Answer(), Answer():
            return _place(one) == _place(other)
        case Embedding(), Embedding():
            return one.embedding == other.embedding
        case Rejected(), Rejected():
            return one.reason is other.reason
    return False


def _place(answer: Answer) -> tuple[int | None, int, int]:
    return answer.context_index, answer.start, answer.end


def _cosine(one: Embedding, other: Embedding) -> float:
    left, right = np.array(one.embedding), np.array(other.embedding)
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    return float(left @ right) / lengths if lengths else 1.0
