"""`manifest.json`: the fields that describe a model bundle, and the hashes of its files.

`model_tools` writes manifests; `bundle.py` compares a bundle's files with them.
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
"""Files that every bundle has, beside the manifest."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
"""Also a directory's name: no slash, no leading dot."""


class Task(StrEnum):
    """What a model does."""

    QUESTION_ANSWERING = "question-answering"
    EMBEDDINGS = "embeddings"


class RecordedScores(BaseModel):
    """Scores of a bundle on a data set, with the decoder settings that gave them."""

    model_config = ConfigDict(frozen=True)

    data: str
    questions: int
    exact_match: float
    f1: float
    decoder: str


class Calibration(BaseModel):
    """What `qa-worker model calibrate` fitted to a data set, with the decoder settings it ran with.

    temperature          divides the logits behind joint scores; ranks are those at 1
    no_answer_threshold  the default of QA_NO_ANSWER_THRESHOLD for joint scores; None without
                         unanswerable questions
    ece, brier           expected calibration error and Brier score, at temperature 1 (`before`)
                         and, of each half, at the temperature fitted on the other half (`after`)
    """

    model_config = ConfigDict(frozen=True)

    data: str
    questions: int
    temperature: float = Field(gt=0, allow_inf_nan=False)
    no_answer_threshold: float | None = Field(None, ge=-100, le=100)
    ece_before: float
    ece_after: float
    brier_before: float
    brier_after: float
    decoder: str


class DenseLayer(BaseModel):
    """A linear layer and an activation, as the `Dense` module of sentence-transformers.

    weight  numpy file, (outputs, inputs)
    bias    numpy file, (outputs,)
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["dense"] = "dense"
    weight: FileName
    bias: FileName | None = None
    activation: Literal["identity", "relu", "sigmoid", "tanh"] = "identity"


class LayerNormLayer(BaseModel):
    """A layer norm, as the `LayerNorm` module of sentence-transformers.

    weight, bias  numpy files, (dims,) each
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["layer_norm"] = "layer_norm"
    weight: FileName
    bias: FileName


PoolingLayer = Annotated[DenseLayer | LayerNormLayer, Field(discriminator="kind")]


class Pooling(BaseModel):
    """How token vectors become one vector.

    mode       their mean, or the vector of [CLS]
    layers     applied to that vector, in order
    normalize  whether the result is scaled to length 1
    """

    model_config = ConfigDict(frozen=True)

    mode: Literal["mean", "cls"] = "mean"
    layers: tuple[PoolingLayer, ...] = ()
    normalize: bool = False

    @property
    def files(self) -> set[str]:
        """The files of the layers."""
        return {name for layer in self.layers for name in (layer.weight, layer.bias) if name}


class Manifest(BaseModel):
    """The file's fields. Unknown ones are ignored, so that older workers read newer bundles."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1, 2] = Field(
        1, description="2 if there are pooling layers, which older workers would leave out"
    )
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
        False, description="trained on unanswerable questions too; else null scores mean little"
    )
    calibration: Calibration | None = Field(
        None, description="question answering only; older workers ignore it"
    )
    pooling: Pooling | None = Field(None, description="embeddings only")
    scores: tuple[RecordedScores, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> "Manifest":
        missing = [name for name in REQUIRED if name not in self.files]
        if missing:
            raise ValueError(f"files: {', '.join(missing)} is not listed")
        if (self.task is Task.EMBEDDINGS) != (self.pooling is not None):
            raise ValueError("pooling: required for embeddings, not allowed for other tasks")
        layers = self.pooling.files if self.pooling else set()
        if bool(layers) != (self.format == 2):
            raise ValueError("format: 2 with pooling layers, else 1")
        if missing := sorted(layers - set(self.files)):
            raise ValueError(f"files: {', '.join(missing)} is not listed")
        return self

    @property
    def sha256(self) -> str:
        """Hash of the model file; identifies the model."""
        return self.files[MODEL]

    def to_json(self) -> bytes:
        """The file's bytes; equal manifests give equal bytes."""
        return self.model_dump_json(indent=2).encode() + b"\n"


def file_hashes(directory: Path, names: Iterable[str] = REQUIRED) -> dict[str, str]:
    """sha256 of files in `directory`. Raises `OSError`."""
    return {name: _sha256(directory / name) for name in names}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
