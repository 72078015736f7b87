"""What stands in a bundle beside the weights: its manifest, its model card, its configuration.

Knows how the facts of a graph and what the caller knows become a manifest; where the files come
from is the affair of `published`, how they get their name that of `building`.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worker.model_tools.graph_info import inspect_graph
from worker.models.bundle import Bundle, BundleError
from worker.models.manifest import (
    CONFIG,
    MANIFEST,
    MODEL,
    REQUIRED,
    Manifest,
    Pooling,
    RecordedScores,
    Task,
    file_hashes,
)

CARDS = ("MODEL_CARD.md", "README.md", "LICENSE", "LICENSE.txt")
"""What else of a model's directory belongs in its bundle: who made it, and under which licence."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the graph and its configuration cannot say of themselves.

    `max_tokens` is the tokenizer's limit, `None` where it has none. `pooling` is for embeddings;
    `None` is the mean for them.
    """

    name: str
    source: str | None = None
    revision: str | None = None
    method: str | None = None
    max_tokens: int | None = None
    knows_no_answer: bool = False
    pooling: Pooling | None = None
    scores: tuple[RecordedScores, ...] = ()

    @staticmethod
    def of(manifest: Manifest, name: str) -> "Provenance":
        """That of a bundle, for a copy of it under another name."""
        return Provenance(
            name=name,
            source=manifest.source,
            revision=manifest.revision,
            method=manifest.method,
            max_tokens=manifest.max_tokens,
            knows_no_answer=manifest.knows_no_answer,
            pooling=manifest.pooling,
            scores=manifest.scores,
        )


def write_manifest(directory: Path, origin: Provenance) -> Manifest:
    """Describe the bundle whose files stand in `directory`. Raises `BundleError`."""
    missing = [name for name in REQUIRED if not (directory / name).is_file()]
    if missing:
        raise BundleError(f"{directory}: {', '.join(missing)} is missing; a bundle needs it")
    facts = inspect_graph(directory / MODEL)
    is_embedder = facts.task is Task.EMBEDDINGS
    if origin.pooling and not is_embedder:
        raise BundleError(f"{origin.name} is for {facts.task}; pooling is for embeddings")
    config = read_config(directory)
    pad = config.get("pad_token_id")
    files = sorted(path.name for path in directory.iterdir() if path.name != MANIFEST)
    try:
        manifest = Manifest(
            task=facts.task,
            name=origin.name,
            source=origin.source,
            revision=origin.revision,
            precision=facts.precision,
            method=origin.method,
            batch_invariant=facts.batch_invariant,
            files=file_hashes(directory, files),
            inputs=facts.inputs,
            outputs=facts.outputs,
            max_tokens=min(_positions(directory, config), origin.max_tokens or sys.maxsize),
            # Where it is left out or null, the tokenizers of the BERT family pad with 0.
            pad_token_id=0 if pad is None else pad,
            knows_no_answer=origin.knows_no_answer,
            pooling=origin.pooling or Pooling() if is_embedder else None,
            scores=origin.scores,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"{directory}: {where} {first['input']!r}: {first['msg']}") from None
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return manifest


def record_scores(bundle: Bundle, scores: RecordedScores) -> None:
    """Write them into the manifest, over what it says of the same file and decoder."""
    kept = [
        each
        for each in bundle.manifest.scores
        if (each.data, each.decoder) != (scores.data, scores.decoder)
    ]
    manifest = bundle.manifest.model_copy(update={"scores": (*kept, scores)})
    written = bundle.directory / f".{MANIFEST}"
    written.write_bytes(manifest.to_json())
    written.replace(bundle.directory / MANIFEST)


def copy_cards(source: Path, directory: Path) -> None:
    """Model card and licence, where there are any."""
    for name in CARDS:
        if (source / name).is_file():
            shutil.copyfile(source / name, directory / name)


def read_config(directory: Path) -> dict[str, Any]:
    """config.json. Raises `BundleError` where it is missing or no JSON object."""
    path = directory / CONFIG
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{directory}: {CONFIG} is missing; a bundle needs it") from None
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise BundleError(f"{path}: not a JSON object")
    return config


def _positions(directory: Path, config: dict[str, Any]) -> int:
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 8:
        raise BundleError(f"{directory / CONFIG}: max_position_embeddings is {positions!r}")
    return positions
