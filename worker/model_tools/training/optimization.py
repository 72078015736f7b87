"""Trains a network for a given time: AdamW, a learning rate that rises, then falls to 0."""

import itertools
import time
from collections.abc import Callable, Iterator

import torch

from worker.model_tools.training.batches import Batch
from worker.model_tools.training.network import Network, log_probabilities

WEIGHT_DECAY = 0.01
MAX_GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.05
"""Share of the time in which the learning rate rises."""
REPORT_SECONDS = 10.0

Loss = Callable[[Network, Batch], torch.Tensor]
Report = Callable[[str], None]


def gold_loss(network: Network, batch: Batch) -> torch.Tensor:
    """Mean cross entropy of the answer's first and last token, in nats."""
    found = log_probabilities(network, batch)
    gold = torch.stack([batch.starts, batch.ends])
    return -found.gather(-1, gold[..., None]).mean()


def learning_rate_share(elapsed: float) -> float:
    """Of the peak, after a share of the time: linear up to `WARM_UP_SHARE`, then linear to 0."""
    return min(elapsed / WARM_UP_SHARE, (1.0 - elapsed) / (1.0 - WARM_UP_SHARE))


def train(
    network: Network,
    batches: Iterator[Batch],
    loss: Loss,
    *,
    peak: float,
    seconds: float,
    report: Report,
) -> None:
    """Train all weights for `seconds`; reports loss and speed now and then."""
    weights = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": [each for each in weights if each.ndim >= 2], "weight_decay": WEIGHT_DECAY},
            {"params": [each for each in weights if each.ndim < 2], "weight_decay": 0.0},
        ],
        lr=peak,
        betas=(0.9, 0.98),
        fused=weights[0].is_cuda,
    )
    network.train()
    began = reported = time.monotonic()
    tokens, losses = 0, []
    for step in itertools.count():
        now = time.monotonic()
        elapsed = (now - began) / seconds
        if elapsed >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = peak * learning_rate_share(max(elapsed, 1e-3))
        batch = next(batches)
        error = loss(network, batch)
        optimizer.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(weights, MAX_GRADIENT_NORM)
        optimizer.step()
        tokens += batch.ids.numel()
        losses.append(error.detach())
        if len(losses) == 20:
            # One wait for the device in 20 steps keeps the clock true and the device busy.
            mean = float(torch.stack(losses).mean())
            losses = []
            if now - reported > REPORT_SECONDS:
                reported = now
                speed = tokens / (time.monotonic() - began)
                report(f"  step {step}: loss {mean:.4f}, {speed / 1000:.0f} k tokens/s")
    network.eval()
