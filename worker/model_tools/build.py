"""Builds bundles: from a directory as models are published, from another bundle, or in int8.

Combines the tokenizer, the converter, the quantizer, the manifest and the smoke test. Where a
model's directory comes from is decided by the caller.
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
from worker.model_tools.external_data import copy_graph
from worker.model_tools.file_content import check_contents
from worker.model_tools.manifest_writer import (
    Provenance,
    copy_cards,
    read_config,
    record_batch_invariance,
    write_manifest,
)
from worker.model_tools.quantize.quantize import Method, describe, quantize_file
from worker.model_tools.sentence_transformers.layers import write_layers
from worker.model_tools.sentence_transformers.modules import read_modules
from worker.model_tools.smoke_test import measure_batch_invariance, smoke_test
from worker.model_tools.source_files import SourceFiles
from worker.model_tools.tokenizer.build import build_tokenizer
from worker.models.bundle import Bundle, BundleError, open_bundle
from worker.models.manifest import CONFIG, MODEL, TOKENIZER

_TINY = 64
"""Tokens. In a window of fewer, half of which may be the question, little context is left."""


@dataclass(frozen=True, slots=True)
class BuiltBundle:
    """A bundle, and notes on choices that the user should check, a line each."""

    bundle: Bundle
    notes: tuple[str, ...] = ()


def check_source(source: Path, files: SourceFiles) -> None:
    """Check the tokenizer and the configuration, before the weights are downloaded.

    Raises `BundleError`.
    """
    check_contents(source, files.checked)
    build_tokenizer(source)
    read_modules(source)
    if not files.is_export:
        read_architecture(read_config(source))


def build_bundle(
    source: Path,
    files: SourceFiles,
    target: Path,
    provenance: Provenance,
    *,
    method: Method | None = None,
    overwrite: bool = False,
) -> BuiltBundle:
    """The bundle of `files` below the directory `source`, in int8 if there is a `method`.

    Raises `BundleError`, `OSError`.
    """
    check_contents(source, (files.weights, *files.checked))
    tokenizer = build_tokenizer(source)
    provenance = replace(provenance, max_tokens=tokenizer.max_tokens)
    with _new_bundle(target, overwrite=overwrite) as directory:
        if files.is_export:
            copy_graph(source / files.weights, directory / MODEL)
        else:
            onnx.save(convert_directory(source), directory / MODEL)
        if method:
            provenance = _quantize(directory / MODEL, directory / MODEL, method, provenance)
        (directory / TOKENIZER).write_bytes(tokenizer.content)
        shutil.copyfile(source / CONFIG, directory / CONFIG)
        write_layers(source, directory, provenance.pooling)
        copy_cards(source, directory)
        write_manifest(directory, provenance)
    bundle = open_bundle(target)
    return BuiltBundle(bundle, (*tokenizer.notes, *_tiny_windows(source, bundle)))


def _tiny_windows(source: Path, bundle: Bundle) -> Iterator[str]:
    """A note if the tokenizer's limit leaves windows of a few tokens of a model that takes more."""
    tokens, positions = bundle.manifest.max_tokens, read_config(source)["max_position_embeddings"]
    if tokens < min(_TINY, positions):
        yield (
            f"windows hold only {tokens} tokens, by model_max_length of tokenizer_config.json or "
            f"max_seq_length of sentence-transformers; the model takes {positions}"
        )


def copy_bundle(
    source: Bundle, target: Path, provenance: Provenance, *, overwrite: bool = False
) -> BuiltBundle:
    """The same files under another name. Raises `BundleError`, `OSError`."""
    with _new_bundle(target, overwrite=overwrite) as directory:
        for name in source.manifest.files:
            shutil.copyfile(source.directory / name, directory / name)
        write_manifest(directory, provenance)
    return BuiltBundle(open_bundle(target))


def quantize_bundle(
    source: Bundle, target: Path, provenance: Provenance, *, method: Method, overwrite: bool = False
) -> BuiltBundle:
    """The same model in int8 under another name. Raises `BundleError`, `OSError`."""
    with _new_bundle(target, overwrite=overwrite) as directory:
        for name in source.manifest.files:
            if name != MODEL:
                shutil.copyfile(source.directory / name, directory / name)
        provenance = _quantize(source.model_file, directory / MODEL, method, provenance)
        write_manifest(directory, provenance)
    return BuiltBundle(open_bundle(target))


def try_bundle(directory: Path) -> Bundle:
    """Run a new bundle, and record in its manifest whether its windows may share a run.

    Raises `BundleError` if it does not pass the smoke test.
    """
    bundle = open_bundle(directory)
    if not bundle.manifest.batch_invariant:
        smoke_test(bundle)
        return bundle
    return record_batch_invariance(bundle, measure_batch_invariance(bundle))


@contextmanager
def _new_bundle(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """The directory to write a bundle into; it becomes `target` if it passes the smoke test.

    Error messages name the bundle in place of the temporary directory, which no longer exists when
    they are read.
    """
    with atomic_directory(target, replace=overwrite) as directory:
        try:
            yield directory
            try_bundle(directory)
        except BundleError as error:
            error.args = (str(error).replace(str(directory), target.name),)
            raise


def _quantize(source: Path, target: Path, method: Method, provenance: Provenance) -> Provenance:
    """Write `target` in int8. Scores and calibration are dropped: they are the float32 graph's."""
    quantize_file(source, target, method)
    return replace(provenance, method=describe(method), calibration=None, scores=())
