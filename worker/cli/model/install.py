"""Builds a bundle in the models' directory for `model add`, `convert` and `pull`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from worker.cli.terminal import print_line, print_note

if TYPE_CHECKING:
    from worker.model_tools.build import BuiltBundle
    from worker.model_tools.source_files import SourceFiles


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What the user says about a model: the shared options of the three commands."""

    replace: bool
    knows_no_answer: bool
    pooling: Literal["mean", "cls"] | None
    normalize: bool | None
    quantize: Literal["per-token", "dynamic"] | None = None


def install(
    directory: Path,
    files: "SourceFiles",
    target: Path,
    options: ModelOptions,
    *,
    source: str,
    revision: str | None = None,
) -> None:
    """Build the bundle `target` from `files` in `directory`, and print the result.

    `source` and `revision` are recorded in the manifest. Raises `BundleError`, `OSError`.
    """
    from worker.model_tools.build import build_bundle
    from worker.model_tools.manifest_writer import Provenance
    from worker.model_tools.pooling_config import find_pooling
    from worker.model_tools.quantize.quantize import Method

    provenance = Provenance(
        name=target.name,
        source=source,
        revision=revision,
        knows_no_answer=options.knows_no_answer,
        pooling=find_pooling(directory, options.pooling, options.normalize),
    )
    method = Method(options.quantize) if options.quantize else None
    print_result(
        build_bundle(directory, files, target, provenance, method=method, overwrite=options.replace)
    )


def print_result(built: "BuiltBundle") -> None:
    """Print the bundle on stdout, and notes on choices to check on stderr."""
    for note in built.notes:
        print_note(f"note: {note}")
    bundle = built.bundle
    print_line(
        f"{bundle.name}: {bundle.manifest.task}, {bundle.manifest.precision}, in {bundle.directory}"
        f" (QA_MODEL={bundle.name})"
    )
