"""Batches of windows as tensors on the device that trains."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from worker.model_tools.training.pairs import Numbers, padded, pair_lengths
from worker.model_tools.training.window_set import WindowSet
from worker.model_tools.training.windows import MASK, SEP

MASKED_SHARE = 0.4
"""Share of the windows of which tokens are masked, for a student."""
MASKED_QUESTION_TOKENS = 0.15
MASKED_CONTEXT_TOKENS = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows of about one length, padded.

    ids       (n, tokens) int64
    mask      (n, tokens) bool, False for padding
    contexts  (n,) the first token of the context
    starts    (n,) first token of the answer; 0: none
    ends      (n,) last token of the answer
    """

    ids: torch.Tensor
    mask: torch.Tensor
    contexts: torch.Tensor
    starts: torch.Tensor
    ends: torch.Tensor


class DeviceWindows:
    """A `WindowSet` in the device's memory, so that a step moves no tokens to it."""

    def __init__(self, windows: WindowSet, device: str) -> None:
        self.host = windows
        self.device = device
        self._ids = self._tensor(windows.ids.astype(np.int32))
        self._begins = self._tensor(windows.begins)
        self._contexts = self._tensor(windows.contexts)
        self._starts = self._tensor(windows.starts)
        self._ends = self._tensor(windows.ends)

    def _tensor(self, values: NDArray[np.generic]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def batch(self, questions: Numbers, contexts: Numbers) -> Batch:
        """The questions of these windows, each with the context of another, as in `pairs.py`.

        Where the context is another window's, `starts` and `ends` mean nothing.
        """
        lengths = pair_lengths(self.host, questions, contexts)
        place = torch.arange(padded(int(lengths.max())), device=self.device)
        windows, others = self._tensor(questions), self._tensor(contexts)
        first = self._contexts[windows]
        in_question = self._begins[windows]
        in_context = self._begins[others] + self._contexts[others] - first
        source = place + torch.where(
            place < first[:, None], in_question[:, None], in_context[:, None]
        )
        mask = place < self._tensor(lengths)[:, None]
        ids = self._ids[source.clamp(max=len(self._ids) - 1)].long().masked_fill(~mask, 0)
        # A context that was cut ends with [SEP] again.
        ids = ids.masked_fill(place == self._tensor(lengths - 1)[:, None], SEP)
        return Batch(ids, mask, first, self._starts[windows], self._ends[windows])


def with_masked_tokens(batch: Batch) -> Batch:
    """Some windows lose tokens of question and context to [MASK]."""
    count, longest = batch.ids.shape
    device = batch.ids.device
    place = torch.arange(longest, device=device)
    question = place < batch.contexts[:, None]
    share = torch.where(question, MASKED_QUESTION_TOKENS, MASKED_CONTEXT_TOKENS)
    share = share * (torch.rand(count, 1, device=device) < MASKED_SHARE)
    hidden = torch.rand(count, longest, device=device) < share
    hidden &= batch.mask & (batch.ids != SEP) & (place > 0)
    return replace(batch, ids=batch.ids.masked_fill(hidden, MASK))
