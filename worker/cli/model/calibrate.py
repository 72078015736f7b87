"""`qa-worker model calibrate`: fits a model's scores to how often its answers are right."""

import os
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.errors import CommandError
from worker.cli.model.extra import require_models_extra
from worker.cli.terminal import Table, print_line, print_note, progress
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import ScoreNormalization
from worker.model_tools.evaluation.calibration import (
    MIN_QUESTIONS,
    CalibrationError,
    CalibrationResult,
    Sample,
    mean_f1,
)
from worker.model_tools.evaluation.calibration import calibrate as fit_calibration
from worker.model_tools.evaluation.calibration_run import read_samples
from worker.model_tools.evaluation.notes import notes
from worker.model_tools.evaluation.reliability import Bin
from worker.model_tools.evaluation.squad import Example, describe_decoder, load_squad
from worker.model_tools.evaluation.unbatched import UnbatchedReader
from worker.models.bundle import DEFAULT_BUNDLE, Bundle
from worker.models.manifest import MANIFEST, Calibration, Task
from worker.models.store import ModelStore
from worker.settings.environment import load

_BAR = 20
"""Characters of a bar that stands for 100 %."""


def calibrate(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR", help="a model that answers")],
    data: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="SQuAD v1.1 or v2.0, JSON; whole file"),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the fit; change no manifest")
    ] = False,
) -> None:
    """Fit a temperature to a SQuAD file, so that scores are the share of right answers; with
    unanswerable questions, fit the threshold of the empty answer too. The worker then uses both.
    Answers and their order do not change by the temperature.
    """
    require_models_extra()
    from worker.model_tools.manifest_writer import record_calibration

    settings = load()
    if settings.qa.score_normalization is not ScoreNormalization.JOINT:
        raise CommandError(
            "QA_SCORE_NORMALIZATION is per_window: its scores are those of other programs, and a "
            "temperature does not apply to them; use joint"
        )
    bundle = ModelStore(settings.qa.models).open(model)
    if bundle.manifest.task is not Task.QUESTION_ANSWERING:
        raise CommandError(f"{bundle.name} is for {bundle.manifest.task} and has no answers")
    if not dry_run:
        _check_writable(bundle)
    examples = load_squad(data)
    if len(examples) < MIN_QUESTIONS:
        raise CommandError(
            f"{data} has {len(examples)} questions; a calibration takes {MIN_QUESTIONS} or more"
        )
    # An earlier calibration must not take part in the new one.
    uncalibrated = bundle.manifest.model_copy(update={"calibration": None})
    options = settings.qa.inference.for_model(uncalibrated).model_copy(update={"min_score": 0.0})
    for note in notes(examples, options, knows_no_answer=bundle.manifest.knows_no_answer):
        print_note(f"note: {note}")
    threshold = options.no_answer_threshold or 0.0
    samples = _read(bundle, options, examples)
    try:
        result = fit_calibration(samples, no_answer=options.no_answer is True, threshold=threshold)
    except CalibrationError as error:
        raise CommandError(f"{data}: {error}") from None
    calibration = Calibration(
        data=data.name,
        questions=len(samples),
        temperature=result.fit.temperature,
        no_answer_threshold=result.fit.no_answer_threshold,
        ece_before=round(result.before.ece, 4),
        ece_after=round(result.after.ece, 4),
        brier_before=round(result.before.brier, 4),
        brier_after=round(result.after.brier, 4),
        decoder=describe_decoder(options, bundle.manifest.max_tokens),
    )
    rejected = len(examples) - len(samples)
    _print_figures(bundle, calibration, samples, threshold=threshold, rejected=rejected)
    reliability_table(result).print()
    print_line("before: at temperature 1; after: each half of the file, fitted to the other half")
    print_line("bars, after: █ the share of right answers, | the mean score")
    if calibration.no_answer_threshold is not None and options.no_answer_threshold is not None:
        print_note(
            f"note: QA_NO_ANSWER_THRESHOLD is set: workers use {threshold:g}, not the fitted "
            f"threshold"
        )
    if dry_run:
        print_line(f"{bundle.directory / MANIFEST} is unchanged (--dry-run)")
        return
    record_calibration(bundle, calibration)
    print_line(f"{bundle.directory / MANIFEST} is written; workers use it from their next start")


def reliability_table(result: CalibrationResult) -> Table:
    """Bins of scores, with their mean and the share of right answers, before and after."""
    table = Table("Score", "Before: n", "score", "right", "After: n", "score", "right", "")
    for before, after in zip(result.before.bins(), result.after.bins(), strict=True):
        table.add_row(
            f"{before.low:.1f}-{before.high:.1f}", *_cells(before), *_cells(after), _bar(after)
        )
    return table


def _cells(each: Bin) -> tuple[str, str, str]:
    if not each.count:
        return "0", "-", "-"
    return f"{each.count}", f"{each.mean_score:.3f}", f"{each.share_right:.3f}"


def _bar(each: Bin) -> str:
    """The share of right answers as a bar, with | where it would end if the scores were exact."""
    if not each.count:
        return ""
    bar = list(("█" * round(each.share_right * _BAR)).ljust(_BAR + 1))
    bar[round(each.mean_score * _BAR)] = "|"
    return "".join(bar).rstrip()


def _read(bundle: Bundle, options: InferenceOptions, examples: list[Example]) -> list[Sample]:
    """The samples of the questions that are not rejected."""
    reader = UnbatchedReader(bundle, options)
    with progress() as bar:
        task = bar.add_task("reading", total=len(examples), speed="")
        samples = read_samples(reader, options, examples, on_example=lambda: bar.advance(task))
    return [each for each in samples if each is not None]


def _check_writable(bundle: Bundle) -> None:
    if bundle.directory.resolve() == DEFAULT_BUNDLE.resolve():
        raise CommandError(
            f"the shipped model is not changed, as it comes anew with each installation: copy it "
            f"(`qa-worker model add {DEFAULT_BUNDLE} --name NAME`), calibrate NAME and set "
            f"QA_MODEL=NAME; or look with --dry-run"
        )
    if not os.access(bundle.directory, os.W_OK):
        raise CommandError(f"{bundle.directory} is not writable; look with --dry-run")


def _print_figures(
    bundle: Bundle,
    fitted: Calibration,
    samples: list[Sample],
    *,
    threshold: float,
    rejected: int,
) -> None:
    """`threshold` is that of the empty answer before the fit."""
    table = Table("", "Before", "After", title=f"{bundle.name} on {fitted.data}")
    table.add_row("questions", f"{fitted.questions}", f"{rejected} rejected")
    table.add_row("temperature", "1", f"{fitted.temperature:g}")
    if fitted.no_answer_threshold is not None:
        table.add_row("no-answer threshold", f"{threshold:g}", f"{fitted.no_answer_threshold:g}")
        shares = mean_f1(samples, threshold), mean_f1(samples, fitted.no_answer_threshold)
        table.add_row("F1 with no answer allowed", *(f"{100 * share:.4f}" for share in shares))
    table.add_row("ECE", f"{fitted.ece_before:.4f}", f"{fitted.ece_after:.4f}")
    table.add_row("Brier score", f"{fitted.brier_before:.4f}", f"{fitted.brier_after:.4f}")
    table.print()
