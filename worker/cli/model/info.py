"""`qa-worker model info`: a bundle's manifest, and whether its files match it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.terminal import Table
from worker.models.bundle import read_manifest
from worker.models.manifest import Calibration, Manifest, file_hashes
from worker.models.store import ModelStore
from worker.settings.environment import load


def info(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME|DIR", help="default: QA_MODEL")
    ] = None,
) -> None:
    """Show a model's manifest and check its files; exits with 1 if a file does not match."""
    settings = load()
    directory = ModelStore(settings.qa.models).resolve(model or settings.qa.model)
    manifest = read_manifest(directory)
    table = Table()
    for field, value in _rows(directory, manifest):
        table.add_row(field, value)
    complete = True
    for name, listed in manifest.files.items():
        state = _state(directory, name, listed)
        complete = complete and state == "ok"
        table.add_row(name, f"{listed}  {state}", style="" if state == "ok" else "red")
    table.print()
    if not complete:
        raise typer.Exit(1)


def _rows(directory: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield "directory", str(directory)
    for field, value in manifest.model_dump(
        mode="json", exclude={"files", "scores", "calibration"}
    ).items():
        yield field, _format(value)
    yield "calibration", format_calibration(manifest.calibration)
    for scores in manifest.scores:
        yield (
            "scores",
            f"EM {scores.exact_match:.4f}, F1 {scores.f1:.4f} on {scores.questions} questions of "
            f"{scores.data}, {scores.decoder}",
        )


def format_calibration(fitted: Calibration | None) -> str:
    """What was fitted, to what, and how far the scores are from the share of right answers."""
    if fitted is None:
        return "none: scores are those of temperature 1"
    threshold = fitted.no_answer_threshold
    return (
        f"temperature {fitted.temperature:g}"
        f"{'' if threshold is None else f', no-answer threshold {threshold:g}'}"
        f", fitted to {fitted.questions} questions of {fitted.data}: "
        f"ECE {fitted.ece_before:.4f} before, {fitted.ece_after:.4f} after, "
        f"Brier {fitted.brier_before:.4f} before, {fitted.brier_after:.4f} after; {fitted.decoder}"
    )


def _format(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case []:
            return "none"
        case list():
            return ", ".join(map(_format, value))
        case dict():
            return ", ".join(f"{key}: {_format(entry)}" for key, entry in value.items())
    return str(value)


def _state(directory: Path, name: str, listed: str) -> str:
    if not (directory / name).is_file():
        return "missing"
    return "ok" if file_hashes(directory, [name])[name] == listed else "differs"
