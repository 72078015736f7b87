"""Reliability of a model's scores, before and after calibration, and what `min_score` costs.

`python -m tests.bench.doubt DATA.json [--model NAME|DIR] [--questions N] [--cache FILE]` reads the
questions of a SQuAD file, fits a temperature to the first half and shows the second half: how many
answers have which score and are right, at temperature 1 and at the fitted one. Then, for a
`min_score` of 0.1 to 0.9: the share of the second half that is answered (coverage), and its EM.
`--cache` keeps what was read, so that the fit can be repeated without the model.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.bench.cached_samples import cached_samples
from worker.cli.model.calibrate import reliability_table
from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.calibration import (
    CalibrationResult,
    Fit,
    Sample,
    fit_temperature,
    outcomes,
    reliability,
)
from worker.model_tools.evaluation.reliability import Reliability
from worker.model_tools.evaluation.squad import load_squad
from worker.models.bundle import Bundle
from worker.models.store import ModelStore

THRESHOLDS = [number / 10 for number in range(1, 10)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--questions", type=int, help="every n-th of the file, this many")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    bundle = ModelStore().open(arguments.model)
    samples = _samples(bundle, arguments)
    middle = len(samples) // 2
    fitted, shown = samples[:middle], samples[middle:]
    fit = Fit(fit_temperature(outcomes(fitted, None, False, 0.0)), None)
    before = reliability(shown, Fit(1.0, None), False, 0.0)
    after = reliability(shown, fit, False, 0.0)
    console = Console(width=140)
    console.print(
        f"{bundle.name} ({bundle.manifest.precision}): temperature {fit.temperature:g}, fitted to "
        f"{len(fitted):,} questions and shown on the other {len(shown):,}; "
        f"EM {100 * after.right.mean():.2f} with either"
    )
    for name, each in (("before", before), ("after", after)):
        console.print(f"{name}: ECE {each.ece:.4f}, Brier {each.brier:.4f}")
    reliability_table(CalibrationResult(fit, before, after)).print()
    console.print(_coverage(before, after))


def _coverage(before: Reliability, after: Reliability) -> Table:
    table = Table(title="answers with a score of min_score and more")
    for heading in ("min_score", "before: coverage", "EM", "after: coverage", "EM"):
        table.add_column(heading, justify="right")
    for threshold in THRESHOLDS:
        cells = []
        for each in (before, after):
            kept = each.scores >= threshold
            exact = 100 * each.right[kept].mean() if kept.any() else np.nan
            cells += [f"{100 * kept.mean():.1f} %", f"{exact:.2f}"]
        table.add_row(f"{threshold:.1f}", *cells)
    return table


def _samples(bundle: Bundle, arguments: argparse.Namespace) -> list[Sample]:
    examples = load_squad(arguments.data)
    if arguments.questions:
        examples = examples[:: max(1, len(examples) // arguments.questions)][: arguments.questions]
    options = InferenceOptions(threads=arguments.threads, no_answer=False)
    return cached_samples(bundle, options, examples, arguments.cache)


if __name__ == "__main__":
    main()
