"""Writes a bundle's manifest, and copies its model card and licence.

Combines what the graph and `config.json` say with what only the caller knows. `build` decides
where the files come from, `atomic_directory` when they appear under their name.
"""

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worker.model_tools.graph_info import inspect_graph
from worker.model_tools.json_files import read_json_object
from worker.models.bundle import Bundle, BundleError
from worker.models.manifest import (
    CONFIG,
    MANIFEST,
    MODEL,
    REQUIRED,
    Calibration,
    Manifest,
    Pooling,
    RecordedScores,
    Task,
    file_hashes,
)

CARDS = ("MODEL_CARD.md", "README.md", "LICENSE", "LICENSE.txt")
"""Model cards and licences, which are copied into the bundle."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """The fields of a manifest that do not follow from the graph and its configuration.

    max_tokens  the tokenizer's limit, None if it has none
    pooling     of embeddings; None: the mean, not normalized
    """

    name: str
    source: str | None = None
    revision: str | None = None
    method: str | None = None
    max_tokens: int | None = None
    knows_no_answer: bool = False
    pooling: Pooling | None = None
    scores: tuple[RecordedScores, ...] = ()
    calibration: Calibration | None = None

    @staticmethod
    def of(manifest: Manifest, name: str) -> "Provenance":
        """The fields of an existing bundle, for a copy of it under another name."""
        return Provenance(
            name=name,
            source=manifest.source,
            revision=manifest.revision,
            method=manifest.method,
            max_tokens=manifest.max_tokens,
            knows_no_answer=manifest.knows_no_answer,
            pooling=manifest.pooling,
            scores=manifest.scores,
            calibration=manifest.calibration,
        )


def write_manifest(directory: Path, provenance: Provenance) -> Manifest:
    """Write the manifest of the files in `directory`. Raises `BundleError`.

    Its `batch_invariant` is what the operators allow, until `record_batch_invariance`.
    """
    missing = [name for name in REQUIRED if not (directory / name).is_file()]
    if missing:
        raise BundleError(f"{directory}: {', '.join(missing)} is missing; a bundle needs it")
    graph = inspect_graph(directory / MODEL)
    is_embedder = graph.task is Task.EMBEDDINGS
    if provenance.pooling and not is_embedder:
        raise BundleError(f"{provenance.name} is for {graph.task}; pooling is for embeddings")
    config = read_config(directory)
    pad = config.get("pad_token_id")
    files = sorted(path.name for path in directory.iterdir() if path.name != MANIFEST)
    try:
        manifest = Manifest(
            format=2 if provenance.pooling and provenance.pooling.layers else 1,
            task=graph.task,
            name=provenance.name,
            source=provenance.source,
            revision=provenance.revision,
            precision=graph.precision,
            method=provenance.method,
            batch_invariant=not graph.batch_dependent,
            files=file_hashes(directory, files),
            inputs=graph.inputs,
            outputs=graph.outputs,
            max_tokens=min(_positions(directory, config), provenance.max_tokens or sys.maxsize),
            # If it is missing or null, the tokenizers of the BERT family pad with 0.
            pad_token_id=0 if pad is None else pad,
            knows_no_answer=provenance.knows_no_answer,
            pooling=provenance.pooling or Pooling() if is_embedder else None,
            calibration=provenance.calibration,
            scores=provenance.scores,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"{directory}: {where} {first['input']!r}: {first['msg']}") from None
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return manifest


def record_scores(bundle: Bundle, scores: RecordedScores) -> None:
    """Write scores into the manifest; they replace those of the same file and decoder."""
    kept = [
        each
        for each in bundle.manifest.scores
        if (each.data, each.decoder) != (scores.data, scores.decoder)
    ]
    _update(bundle, scores=(*kept, scores))


def record_calibration(bundle: Bundle, calibration: Calibration) -> None:
    """Write a calibration into the manifest, in the place of an earlier one."""
    _update(bundle, calibration=calibration)


def record_batch_invariance(bundle: Bundle, batch_invariant: bool) -> Bundle:
    """Write into the manifest whether windows may share a run."""
    return _update(bundle, batch_invariant=batch_invariant)


def _update(bundle: Bundle, **fields: object) -> Bundle:
    manifest = bundle.manifest.model_copy(update=fields)
    written = bundle.directory / f".{MANIFEST}"
    written.write_bytes(manifest.to_json())
    written.replace(bundle.directory / MANIFEST)
    return replace(bundle, manifest=manifest)


def copy_cards(source: Path, directory: Path) -> None:
    """Copy the model card and the licence, if there are any."""
    for name in CARDS:
        if (source / name).is_file():
            shutil.copyfile(source / name, directory / name)


def read_config(directory: Path) -> dict[str, Any]:
    """config.json. Raises `BundleError` if it is missing or is not a JSON object."""
    try:
        return read_json_object(directory / CONFIG)
    except FileNotFoundError:
        raise BundleError(f"{directory}: {CONFIG} is missing; a bundle needs it") from None


def _positions(directory: Path, config: dict[str, Any]) -> int:
    """The longest window, in tokens."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 8:
        raise BundleError(f"{directory / CONFIG}: max_position_embeddings is {positions!r}")
    return positions
