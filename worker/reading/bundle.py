"""A model directory: its files, its hash, its limits, and what its graph can be trusted with.

Knows files and bytes only; opening the graph is the session's work, the tokenizer the windows'.
"""

import hashlib
import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_BUNDLE = Path(__file__).parent.parent / "models" / "default"

_QUANTIZED_OPS = (
    b"DynamicQuantizeLinear",
    b"DynamicQuantizeMatMul",
    b"MatMulInteger",
    b"MatMulNBits",
    b"QLinearMatMul",
    b"QuantizeLinear",
)
# Activation ranges of these are taken over the whole batch, and MatMulNBits picks its kernel by
# the number of rows: a window's logits then depend on the windows beside it.
_BATCH_DEPENDENT_OPS = (b"DynamicQuantizeLinear", b"DynamicQuantizeMatMul", b"MatMulNBits")


class BundleError(Exception):
    """This directory is no model bundle that the worker can use; the message says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model on disk, checked.

    `max_tokens` is the model's limit for question, context and special tokens together.
    `batch_invariant` says whether windows may share a run without changing each other's logits.
    """

    directory: Path
    name: str
    sha256: str
    max_tokens: int
    pad_token_id: int
    quantized: bool
    batch_invariant: bool

    @property
    def model_file(self) -> Path:
        return self.directory / "model.onnx"

    @property
    def tokenizer_file(self) -> Path:
        return self.directory / "tokenizer.json"


def open_bundle(directory: Path) -> Bundle:
    """Read and check `directory`. Raises `BundleError` with what is missing or wrong."""
    for name in ("model.onnx", "tokenizer.json", "config.json"):
        if not (directory / name).is_file():
            raise BundleError(f"{directory}: {name} is missing; a bundle needs it")
    config = _read_config(directory / "config.json")
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 8:
        raise BundleError(f"{directory}/config.json: max_position_embeddings is {positions!r}")
    pad = config.get("pad_token_id")
    with (directory / "model.onnx").open("rb") as file:
        if not file.read(1):
            raise BundleError(f"{directory}/model.onnx is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as graph:
            digest = hashlib.sha256(graph).hexdigest()
            # An operator's name stands in the file as plain text (ONNX is protobuf), so a search
            # finds it without a parser.
            quantized = any(graph.find(op) >= 0 for op in _QUANTIZED_OPS)
            batch_dependent = any(graph.find(op) >= 0 for op in _BATCH_DEPENDENT_OPS)
    return Bundle(
        directory=directory,
        name=_name(directory, config),
        sha256=digest,
        max_tokens=positions,
        pad_token_id=pad if isinstance(pad, int) else 0,
        quantized=quantized,
        batch_invariant=not batch_dependent,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise BundleError(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise BundleError(f"{path}: not a JSON object")
    return config


def _name(directory: Path, config: dict[str, Any]) -> str:
    name = config.get("_name_or_path")
    return name if isinstance(name, str) and name else directory.resolve().name
