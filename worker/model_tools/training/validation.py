"""How good networks are on the articles that are kept from training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worker.model_tools.evaluation.auroc import auroc
from worker.model_tools.training.batches import Batch, DeviceWindows
from worker.model_tools.training.mixture import Group
from worker.model_tools.training.network import Network, log_probabilities
from worker.model_tools.training.pairs import cut

MAX_ANSWER_TOKENS = 15
SCORED = (Group.SQUAD, Group.GENUINE, Group.CHANGED, Group.EMPTY)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """Of one network, or of several whose logarithms of probabilities are averaged.

    loss      mean cross entropy of first and last token of SQuAD's windows and unanswerable ones
    f1        overlap in tokens of the best span with the answer, of answerable questions, in %
    auroc     of the empty answer's logarithm minus the best span's, as a sign of no answer; of the
              unanswerable questions that people wrote
    combined  F1 in % at the best threshold, half answerable and half unanswerable ones
    """

    loss: float
    f1: float
    auroc: float
    combined: float

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f}, F1 {self.f1:.2f}, AUROC {self.auroc:.4f}, "
            f"both halves {self.combined:.2f}"
        )


def validation_batches(windows: DeviceWindows, *, max_tokens: int) -> list[Batch]:
    """The windows to score, in a fixed order."""
    return [windows.batch(part, part) for part in _parts(windows, max_tokens)]


def _parts(windows: DeviceWindows, max_tokens: int) -> list[NDArray[np.int64]]:
    host = windows.host
    chosen = np.flatnonzero(host.validation & np.isin(host.groups, SCORED))
    return [part for part, _ in cut(host, chosen, chosen, max_tokens=max_tokens)]


def all_log_probabilities(network: Network, batches: Sequence[Batch]) -> list[torch.Tensor]:
    """Of each batch: (2, n, tokens)."""
    network.eval()
    with torch.inference_mode():
        return [log_probabilities(network, batch) for batch in batches]


def validation_scores(
    windows: DeviceWindows, found: Sequence[list[torch.Tensor]], *, max_tokens: int
) -> ValidationScores:
    """The scores of the average of `found`, one list of `all_log_probabilities` each."""
    host = windows.host
    losses, spans, nulls, overlaps, numbers = [], [], [], [], []
    for index, part in enumerate(_parts(windows, max_tokens)):
        batch = windows.batch(part, part)
        mean = torch.stack([each[index] for each in found]).mean(0)
        gold = torch.stack([batch.starts, batch.ends])
        losses.append(-mean.gather(-1, gold[..., None])[..., 0].mean(0))
        best, first, last = _best_spans(mean, batch)
        shared = torch.minimum(last, batch.ends) - torch.maximum(first, batch.starts) + 1
        sizes = (last - first + 1) + (batch.ends - batch.starts + 1)
        spans.append(best)
        nulls.append(mean[0, :, 0] + mean[1, :, 0])
        overlaps.append(2 * shared.clamp(min=0) / sizes)
        numbers.append(part)
    order = np.concatenate(numbers)
    best, null, overlap, loss = (
        torch.cat(each).double().cpu().numpy() for each in (spans, nulls, overlaps, losses)
    )
    groups = host.groups[order]
    answerable = groups == Group.SQUAD
    # Windows of one length stand for questions here: few SQuAD contexts have more than one.
    difference = null - best
    genuine = groups == Group.GENUINE
    unanswerable = genuine | (groups == Group.CHANGED)
    both = answerable | genuine
    return ValidationScores(
        loss=float(loss.mean()),
        f1=100 * float(overlap[answerable].mean()),
        auroc=auroc(difference[both], genuine[both]),
        combined=100 * _best_half_and_half(difference, overlap, answerable, unanswerable),
    )


def _best_spans(
    logarithms: torch.Tensor, batch: Batch
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sum of logarithms, first and last token of the best span of each context."""
    place = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    # The last token is [SEP].
    context = (place >= batch.contexts[:, None]) & batch.mask.roll(-1, 1)
    starts, ends = (each.masked_fill(~context, -1e9) for each in logarithms)
    span = place[None] - place[:, None]
    allowed = (span >= 0) & (span < MAX_ANSWER_TOKENS)
    sums = (starts[:, :, None] + ends[:, None, :]).masked_fill(~allowed, -1e9)
    best, where = sums.flatten(1).max(1)
    return best, where // len(place), where % len(place)


def _best_half_and_half(
    difference: Floats, overlap: Floats, answerable: NDArray[np.bool_], none: NDArray[np.bool_]
) -> float:
    best = 0.0
    for threshold in np.quantile(difference[answerable | none], np.linspace(0, 1, 201)):
        says_none = difference > threshold
        right = np.where(says_none[answerable], 0.0, overlap[answerable]).mean()
        best = max(best, (right + says_none[none].mean()) / 2)
    return float(best)
