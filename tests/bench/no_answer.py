"""How well a model knows that a context does not answer the question.

`python -m tests.bench.no_answer dev-v2.0.json [--model NAME|DIR] [--cache FILE]` reads a SQuAD v2.0
file and prints, at the threshold and the temperature of the model's manifest: EM and F1 of all
questions, of the answerable and of the unanswerable ones; the share of each that gets the right
kind of outcome; the AUROC of "no answer"; F1 with the best threshold of this very file, with
threshold 0 and if every question is answered; and how reliable the scores are with threshold 0 and
temperature 1, with the fitted threshold, and with both. `--cache` keeps what was read.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.bench.cached_samples import cached_samples
from worker.cli.model.calibrate import reliability_table
from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.auroc import auroc
from worker.model_tools.evaluation.calibration import (
    THRESHOLD_LIMIT,
    CalibrationResult,
    Fit,
    Sample,
    fit_threshold,
    mean_f1,
    outcomes,
    reliability,
)
from worker.model_tools.evaluation.squad import load_squad
from worker.models.bundle import Bundle
from worker.models.store import ModelStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    bundle = ModelStore().open(arguments.model)
    samples = _samples(bundle, arguments)
    calibration = bundle.manifest.calibration
    fitted = calibration.no_answer_threshold if calibration else None
    fit = Fit(calibration.temperature if calibration else 1.0, fitted or 0.0)
    console = Console(width=140)
    console.print(f"{bundle.name} ({bundle.manifest.precision}) on {arguments.data.name}")
    console.print(_scores(samples, fit))
    console.print(_thresholds(samples, fit))
    unfitted = reliability(samples, Fit(1.0, 0.0), True, 0.0)
    threshold_only = reliability(samples, Fit(1.0, fit.no_answer_threshold), True, 0.0)
    both = reliability(samples, fit, True, 0.0)
    for name, each in (
        ("threshold 0, temperature 1", unfitted),
        ("fitted threshold, temperature 1", threshold_only),
        ("fitted threshold and temperature", both),
    ):
        console.print(f"{name}: ECE {each.ece:.4f}, Brier {each.brier:.4f}")
    console.print("before: threshold 0, temperature 1; after: both fitted")
    reliability_table(CalibrationResult(fit, unfitted, both)).print()


def _scores(samples: Sequence[Sample], fit: Fit) -> Table:
    """EM, F1 and the share with the right kind of outcome, at the fitted threshold."""
    threshold = fit.no_answer_threshold
    chosen = outcomes(samples, threshold, True, 0.0)
    answerable = np.array([each.answerable for each in samples])
    exact = np.array([each.right for each in chosen])
    f1 = np.array([each.f1 for each in chosen])
    answered = np.array([each is sample.span for each, sample in zip(chosen, samples, strict=True)])
    table = Table(title=f"threshold {threshold:g}")
    for heading in ("questions", "n", "EM", "F1", "right kind of outcome"):
        table.add_column(heading, justify="right")
    everything = np.ones(len(samples), bool)
    for name, part in (
        ("all", everything),
        ("answerable", answerable),
        ("unanswerable", ~answerable),
    ):
        if part.any():
            right = (answered == answerable)[part].mean()
            table.add_row(
                name,
                f"{part.sum():,}",
                f"{100 * exact[part].mean():.2f}",
                f"{100 * f1[part].mean():.2f}",
                f"{100 * right:.1f} %",
            )
    return table


def _thresholds(samples: Sequence[Sample], fit: Fit) -> Table:
    """F1 of all questions with other thresholds, and the AUROC, which has none."""
    table = Table(show_header=False)
    best = fit_threshold(samples)
    for name, threshold in (
        ("the fitted threshold", fit.no_answer_threshold or 0.0),
        ("threshold 0", 0.0),
        ("the best threshold of this file", best),
    ):
        f1 = 100 * mean_f1(samples, threshold)
        table.add_row(f"F1 with {name}", f"{f1:.2f} at {threshold:g}")
    always = [each.span.f1 for each in samples]
    table.add_row("F1 if every question is answered", f"{100 * np.mean(always):.2f}")
    answerable = [each.span.f1 for each in samples if each.answerable]
    table.add_row("the same, of the answerable questions", f"{100 * np.mean(answerable):.2f}")
    margins = np.clip([each.margin for each in samples], -THRESHOLD_LIMIT, THRESHOLD_LIMIT)
    unanswerable = np.array([not each.answerable for each in samples])
    if unanswerable.any() and not unanswerable.all():
        table.add_row('AUROC of "no answer"', f"{auroc(margins, unanswerable):.4f}")
    return table


def _samples(bundle: Bundle, arguments: argparse.Namespace) -> list[Sample]:
    examples = load_squad(arguments.data)
    options = InferenceOptions(threads=arguments.threads, no_answer=True)
    return cached_samples(bundle, options, examples, arguments.cache)


if __name__ == "__main__":
    main()
