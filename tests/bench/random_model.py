"""Writes a bundle with random weights, to measure speed and memory but not answers.

`python -m tests.bench.random_model DIR` writes a model of DistilBERT-base's size, int8 per token.
Needs the extra `bench`.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import onnx

from tests.model_tools.random_weights import DISTILBERT_BASE, random_weights
from worker.model_tools.build import try_bundle
from worker.model_tools.convert.architecture import read_architecture
from worker.model_tools.convert.convert import convert
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.model_tools.quantize.quantize import Method, describe, quantize_file
from worker.models.bundle import DEFAULT_BUNDLE
from worker.models.manifest import CONFIG, MODEL, TOKENIZER


def write_bundle(directory: Path) -> None:
    """Writes the int8 model, its configuration and the default model's tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch, MODEL)
        onnx.save(
            convert(random_weights(DISTILBERT_BASE), read_architecture(DISTILBERT_BASE)), plain
        )
        quantize_file(plain, directory / MODEL, Method.PER_TOKEN)
    (directory / CONFIG).write_text(json.dumps(dict(DISTILBERT_BASE)))
    shutil.copyfile(DEFAULT_BUNDLE / TOKENIZER, directory / TOKENIZER)
    write_manifest(
        directory, Provenance(name="distilbert-base-random", method=describe(Method.PER_TOKEN))
    )
    try_bundle(directory)


if __name__ == "__main__":
    write_bundle(Path(sys.argv[1]))
