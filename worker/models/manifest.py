"""`manifest.json`: what a model bundle says of itself, so that nobody has to guess.

Knows the fields and the hashes; whoever makes a bundle fills them in, and whoever opens one
holds its files against them.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
REQUIRED = (MODEL, TOKENIZER, CONFIG)
"""The files beside the manifest without which there is no bundle."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
"""Also a directory's name: no slash, and no dot in front."""


class Task(StrEnum):
    """What a model is for."""

    QUESTION_ANSWERING = "question-answering"
    EMBEDDINGS = "embeddings"


class RecordedScores(BaseModel):
    """What a bundle scored, and how it was read: figures without their decoder say little."""

    model_config = ConfigDict(frozen=True)

    data: str
    questions: int
    exact_match: float
    f1: float
    decoder: str


class Pooling(BaseModel):
    """How token vectors become one: the mean of all, or that of [CLS]; of length 1 or as it is."""

    model_config = ConfigDict(frozen=True)

    mode: Literal["mean", "cls"] = "mean"
    normalize: bool = False


class Manifest(BaseModel):
    """The whole of it. Unknown fields are ignored, so that older workers read newer bundles."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    task: Task
    name: Name
    source: str | None = Field(None, description="where the weights are from: a hub id, a path")
    revision: str | None = Field(None, description="the source's commit")
    precision: str = Field(description="of the weights: float32, float16, int8 …")
    method: str | None = Field(None, description="how they were quantized")
    batch_invariant: bool = Field(
        description="windows may share a run without changing each other's outputs"
    )
    files: dict[FileName, Sha256] = Field(description="sha256 of every file of the bundle")
    inputs: tuple[str, ...] = Field(description="the graph's input tensors")
    outputs: tuple[str, ...] = Field(description="the graph's output tensors")
    max_tokens: int = Field(ge=8, description="the longest window, special tokens included")
    pad_token_id: int = Field(0, ge=0)
    knows_no_answer: bool = Field(
        False, description="was trained on unanswerable questions too; else null scores mean little"
    )
    pooling: Pooling | None = Field(None, description="embeddings only")
    scores: tuple[RecordedScores, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> "Manifest":
        missing = [name for name in REQUIRED if name not in self.files]
        if missing:
            raise ValueError(f"files: {', '.join(missing)} is not listed")
        if (self.task is Task.EMBEDDINGS) != (self.pooling is not None):
            raise ValueError("pooling: embeddings have it, and nothing else has")
        return self

    @property
    def sha256(self) -> str:
        """Of the model file: what tells one model from another."""
        return self.files[MODEL]

    def to_json(self) -> bytes:
        """The file's bytes: the same manifest, the same bytes."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def file_hashes(directory: Path, names: Iterable[str] = REQUIRED) -> dict[str, str]:
    """sha256 of files in `directory`. Raises `OSError`."""
    return {name: _sha256(directory / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
