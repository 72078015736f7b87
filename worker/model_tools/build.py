"""A directory as models are published (config, tokenizer, weights) to a bundle, and a bundle to
one under another name, or in another precision.

Puts the pieces together: files, tokenizer, converter, manifest, trial. Where the directory comes
from is the caller's affair.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from worker.model_tools.atomic_directory import atomic_directory
from worker.model_tools.convert.architecture import read_architecture
from worker.model_tools.convert.convert import convert_directory
from worker.model_tools.manifest_writer import Provenance, copy_cards, read_config, write_manifest
from worker.model_tools.quantize.quantize import Method, describe, quantize_file
from worker.model_tools.smoke_test import smoke_test
from worker.model_tools.source_files import SourceFiles
from worker.model_tools.tokenizer.build import make_tokenizer
from worker.models.bundle import Bundle, BundleError, open_bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A bundle, and what was decided for it that could be wrong: a line each."""

    bundle: Bundle
    notes: tuple[str, ...] = ()


def check_source(source: Path, contents: SourceFiles) -> None:
    """What can be told without the weights. Raises `BundleError`.

    Asked before they are fetched, so that nobody waits for a model that is then refused.
    """
    make_tokenizer(source)
    if not contents.is_export:
        read_architecture(read_config(source))


def build_bundle(
    source: Path,
    contents: SourceFiles,
    target: Path,
    origin: Provenance,
    *,
    method: Method | None = None,
    overwrite: bool = False,
) -> BuiltBundle:
    """The bundle of `contents`, which stand in `source`, quantized where there is a `method`.

    Raises `BundleError`, `OSError`.
    """
    tokenizer = make_tokenizer(source)
    with atomic_directory(target, replace=overwrite) as partial, _rename_in_errors(partial, target):
        if contents.is_export:
            shutil.copyfile(source / contents.weights, partial / MODEL)
        else:
            onnx.save(convert_directory(source), partial / MODEL)
        if method:
            origin = _quantize(partial / MODEL, partial / MODEL, method, origin)
        (partial / TOKENIZER).write_bytes(tokenizer.content)
        shutil.copyfile(source / CONFIG, partial / CONFIG)
        copy_cards(source, partial)
        write_manifest(partial, replace(origin, max_tokens=tokenizer.max_tokens))
        smoke_test(open_bundle(partial))
    return BuiltBundle(open_bundle(target), tokenizer.notes)


def copy_bundle(
    source: Bundle, target: Path, origin: Provenance, *, overwrite: bool = False
) -> BuiltBundle:
    """The same files under another name. Raises `BundleError`, `OSError`."""
    with atomic_directory(target, replace=overwrite) as partial, _rename_in_errors(partial, target):
        for name in source.manifest.files:
            shutil.copyfile(source.directory / name, partial / name)
        write_manifest(partial, origin)
        smoke_test(open_bundle(partial))
    return BuiltBundle(open_bundle(target))


def quantize_bundle(
    source: Bundle, target: Path, origin: Provenance, *, method: Method, overwrite: bool = False
) -> BuiltBundle:
    """The same model in int8 under another name. Raises `BundleError`, `OSError`."""
    with atomic_directory(target, replace=overwrite) as partial, _rename_in_errors(partial, target):
        for name in source.manifest.files:
            if name != MODEL:
                shutil.copyfile(source.directory / name, partial / name)
        write_manifest(
            partial,
            _quantize(source.model_file, partial / MODEL, method, origin),
        )
        smoke_test(open_bundle(partial))
    return BuiltBundle(open_bundle(target))


def _quantize(source: Path, target: Path, method: Method, origin: Provenance) -> Provenance:
    """Scores go: they are another graph's."""
    quantize_file(source, target, method)
    return replace(origin, method=describe(method), scores=())


@contextmanager
def _rename_in_errors(partial: Path, target: Path) -> Iterator[None]:
    """Complaints name the bundle: the directory that it was made in is gone when they are read."""
    try:
        yield
    except BundleError as error:
        raise BundleError(str(error).replace(str(partial), target.name)) from None
