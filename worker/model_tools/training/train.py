"""Trains one network: a teacher on the answers of the data, or a student on what teachers say.

`python -m worker.model_tools.training.train teacher windows.npz --from DIR --to DIR --minutes 2`
`python -m worker.model_tools.training.train student windows.npz TEACHER_DIR... --from DIR --to DIR`

The student learns the teachers' averaged distributions over first and last tokens (Hinton et al.,
2015, arXiv:1503.02531), also of questions with other contexts and with masked tokens, to which the
data have no answers. `recipe.py` runs both for the default model.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from worker.model_tools.training.batches import (
    Batch,
    DeviceWindows,
    with_masked_tokens,
)
from worker.model_tools.training.mixture import SHARES, draw, spread
from worker.model_tools.training.network import (
    Network,
    log_probabilities,
    open_network,
    save_network,
)
from worker.model_tools.training.optimization import Loss, gold_loss, train
from worker.model_tools.training.pairs import cut, other_contexts
from worker.model_tools.training.validation import (
    all_log_probabilities,
    validation_batches,
    validation_scores,
)
from worker.model_tools.training.window_set import WindowSet

DRAWN = 4096
"""Windows that are drawn together and sorted by length: little padding."""
DISTILLATION_TEMPERATURE = 2.0


class Training:
    """What both kinds of run share: data, device, batch size, the log."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.windows = DeviceWindows(WindowSet.load(arguments.windows), arguments.device)
        self.validation = validation_batches(self.windows, max_tokens=arguments.batch_tokens)
        self.began = time.monotonic()

    def report(self, line: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s  {line}", flush=True)  # noqa: T201

    def batches(self, *, changed: bool) -> Iterator[Batch]:
        """Batches to train with, without end. Changed ones are for distillation only."""
        host = self.windows.host
        generator = np.random.default_rng(self.arguments.seed)
        groups = np.where(host.validation, 0, host.groups).astype(np.uint8)
        shares = SHARES if changed else spread(SHARES, generator)
        for drawn in draw(groups, shares, DRAWN, generator):
            contexts = other_contexts(host, drawn, generator) if changed else drawn
            parts = list(cut(host, drawn, contexts, max_tokens=self.arguments.batch_tokens))
            for number in generator.permutation(len(parts)):
                batch = self.windows.batch(*parts[number])
                yield with_masked_tokens(batch) if changed else batch

    def train(self, network: Network, loss: Loss, *, changed: bool) -> None:
        """Train for the minutes of the command line."""
        train(
            network,
            self.batches(changed=changed),
            loss,
            peak=self.arguments.learning_rate,
            seconds=60 * self.arguments.minutes,
            report=self.report,
        )

    def score(self, name: str, networks: list[Network]) -> None:
        """Report the scores of a network, or of several on average, on the validation articles."""
        found = [all_log_probabilities(each, self.validation) for each in networks]
        tokens = self.arguments.batch_tokens
        self.report(f"{name}: {validation_scores(self.windows, found, max_tokens=tokens)}")


def train_teacher(run: Training) -> Network:
    """A network trained on the answers of the data, in a mixture of its own."""
    arguments = run.arguments
    network = open_network(
        arguments.weights,
        arguments.device,
        layer_repeats=arguments.layer_repeats,
        dropout=arguments.dropout,
    )
    run.train(network, gold_loss, changed=False)
    return network


def train_student(run: Training) -> Network:
    """A network that learns what the teachers say on average."""
    arguments = run.arguments
    teachers = [open_network(each, arguments.device).eval() for each in arguments.teachers]
    for directory, network in zip(arguments.teachers, teachers, strict=True):
        run.score(str(directory), [network])
    run.score("teachers on average", teachers)
    network = open_network(arguments.weights, arguments.device)

    def loss(network: Network, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            told = [log_probabilities(each, batch, DISTILLATION_TEMPERATURE) for each in teachers]
            target = torch.stack(told).mean(0).log_softmax(-1)
        found = log_probabilities(network, batch, DISTILLATION_TEMPERATURE)
        # The factor keeps the size of the gradient, as in the paper.
        divergence = (target.exp() * (target - found)).masked_fill(~batch.mask, 0.0)
        return divergence.sum(-1).mean() * DISTILLATION_TEMPERATURE**2

    run.train(network, loss, changed=True)
    return network


def main() -> None:
    arguments = _arguments()
    torch.manual_seed(arguments.seed)
    run = Training(arguments)
    network = arguments.train(run)
    save_network(network, arguments.to, arguments.weights)
    run.score(str(arguments.to), [network])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(required=True)
    teacher = kinds.add_parser("teacher", help="learns the answers of the data")
    student = kinds.add_parser("student", help="learns what teachers say")
    for kind in (teacher, student):
        kind.add_argument("windows", type=Path, help="what training.window_set wrote")
        kind.add_argument(
            "--from",
            dest="weights",
            type=Path,
            required=True,
            metavar="DIR",
            help="config.json, tokenizer.json, vocab.txt and model.safetensors to start from",
        )
        kind.add_argument("--to", type=Path, required=True, help="directory to write")
        kind.add_argument("--minutes", type=float, required=True, help="the rate ends at 0")
        kind.add_argument("--learning-rate", type=float, required=True, help="the peak")
        kind.add_argument("--batch-tokens", type=int, default=24576, help="padded tokens")
        kind.add_argument("--device", default="cuda", help="cuda or cpu")
        kind.add_argument("--seed", type=int, default=0)
    teacher.set_defaults(train=train_teacher)
    teacher.add_argument("--layer-repeats", type=int, default=1, help="each layer so many times")
    teacher.add_argument("--dropout", type=float, default=0.1)
    student.set_defaults(train=train_student)
    student.add_argument("teachers", type=Path, nargs="+", help="directories of networks")
    return parser.parse_args()


if __name__ == "__main__":
    main()
