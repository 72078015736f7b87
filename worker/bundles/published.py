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

from worker.bundles.architecture import read_architecture
from worker.bundles.building import building
from worker.bundles.contents import Contents
from worker.bundles.convert import convert_directory
from worker.bundles.make import Origin, copy_cards, read_config, write_manifest
from worker.bundles.quantize import Method, describe, quantize_file
from worker.bundles.tokenizer import make_tokenizer
from worker.bundles.trial import try_out
from worker.reading.bundle import Bundle, BundleError, open_bundle
from worker.reading.manifest import CONFIG, MODEL, TOKENIZER


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle, and what was decided for it that could be wrong: a line each."""

    bundle: Bundle
    notes: tuple[str, ...] = ()


def check_source(source: Path, contents: Contents) -> None:
    """What can be told without the weights. Raises `BundleError`.

    Asked before they are fetched, so that nobody waits for a model that is then refused.
    """
    make_tokenizer(source)
    if not contents.is_export:
        read_architecture(read_config(source))


def make_bundle(
    source: Path,
    contents: Contents,
    target: Path,
    origin: Origin,
    *,
    method: Method | None = None,
    overwrite: bool = False,
) -> Made:
    """The bundle of `contents`, which stand in `source`, quantized where there is a `method`.

    Raises `BundleError`, `OSError`.
    """
    tokenizer = make_tokenizer(source)
    with building(target, replace=overwrite) as partial, _named(partial, target):
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
        try_out(open_bundle(partial))
    return Made(open_bundle(target), tokenizer.notes)


def copy_bundle(source: Bundle, target: Path, origin: Origin, *, overwrite: bool = False) -> Made:
    """The same files under another name. Raises `BundleError`, `OSError`."""
    with building(target, replace=overwrite) as partial, _named(partial, target):
        for name in source.manifest.files:
            shutil.copyfile(source.directory / name, partial / name)
        write_manifest(partial, origin)
        try_out(open_bundle(partial))
    return Made(open_bundle(target))


def quantize_bundle(
    source: Bundle, target: Path, origin: Origin, *, method: Method, overwrite: bool = False
) -> Made:
    """The same model in int8 under another name. Raises `BundleError`, `OSError`."""
    with building(target, replace=overwrite) as partial, _named(partial, target):
        for name in source.manifest.files:
            if name != MODEL:
                shutil.copyfile(source.directory / name, partial / name)
        write_manifest(
            partial,
            _quantize(source.model_file, partial / MODEL, method, origin),
        )
        try_out(open_bundle(partial))
    return Made(open_bundle(target))


def _quantize(source: Path, target: Path, method: Method, origin: Origin) -> Origin:
    """Scores go: they are another graph's."""
    quantize_file(source, target, method)
    return replace(origin, method=describe(method), scores=())


@contextmanager
def _named(partial: Path, target: Path) -> Iterator[None]:
    """Complaints name the bundle: the directory that it was made in is gone when they are read."""
    try:
        yield
    except BundleError as error:
        raise BundleError(str(error).replace(str(partial), target.name)) from None
