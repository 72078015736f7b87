"""A directory with a model in it to a bundle: whole under its name, or not there at all.

Files are put together in a hidden directory beside the target and renamed when the manifest is
written, so whatever stops the work leaves nothing under the bundle's name.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.bundles.facts import graph_facts
from worker.reading.bundle import BundleError
from worker.reading.manifest import (
    CONFIG,
    MANIFEST,
    MODEL,
    REQUIRED,
    Manifest,
    Pooling,
    Scores,
    Task,
    file_hashes,
)

CARDS = ("MODEL_CARD.md", "README.md", "LICENSE", "LICENSE.txt")
"""What else of a model's directory belongs in its bundle: who made it, and under which licence."""


MEAN = Pooling()


@dataclass(frozen=True, slots=True)
class Origin:
    """What the files cannot say of themselves."""

    name: str
    source: str | None = None
    revision: str | None = None
    method: str | None = None
    knows_no_answer: bool = False
    pooling: Pooling = MEAN
    scores: tuple[Scores, ...] = ()


@contextmanager
def building(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty directory to put the files in; it is `target` once the block ends without an error.

    Raises `BundleError` where `target` is there and may not be replaced.
    """
    if target.exists() and not replace:
        raise BundleError(f"{target} is there already; take another name, or --replace it")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    )
    try:
        yield partial
        partial.chmod(0o755)
        _put(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_manifest(directory: Path, origin: Origin) -> Manifest:
    """Describe the bundle whose files stand in `directory`. Raises `BundleError`."""
    missing = [name for name in REQUIRED if not (directory / name).is_file()]
    if missing:
        raise BundleError(f"{directory}: {', '.join(missing)} is missing; a bundle needs it")
    facts = graph_facts(directory / MODEL)
    config = read_config(directory)
    pad = config.get("pad_token_id")
    files = sorted(path.name for path in directory.iterdir() if path.name != MANIFEST)
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
        max_tokens=_positions(directory, config),
        pad_token_id=pad if isinstance(pad, int) else 0,
        knows_no_answer=origin.knows_no_answer,
        pooling=origin.pooling if facts.task is Task.EMBEDDINGS else None,
        scores=origin.scores,
    )
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return manifest


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


def _put(partial: Path, target: Path) -> None:
    """Rename over `target`. On the disk before it has its name, so that a power cut cannot leave
    a whole name on half a file.
    """
    for path in [*partial.iterdir(), partial]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    if not target.exists():
        partial.rename(target)
        return
    # A directory that is not empty cannot be renamed over: the old one steps aside first.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as aside:
        target.rename(Path(aside, "old"))
        partial.rename(target)
