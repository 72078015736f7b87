"""Converts weights of DistilBERT or BERT to an ONNX graph, without torch.

Checks the weights against the configuration and transposes them for the graph. `encoder` adds the
nodes, `tensors` knows names and shapes.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import onnx

from worker.model_tools.convert.architecture import Architecture, read_architecture
from worker.model_tools.convert.encoder import Encoder
from worker.model_tools.convert.graph import Graph
from worker.model_tools.convert.tensors import (
    Tensor,
    check_names,
    expected_tensors,
    find_task,
    plain_names,
)
from worker.model_tools.convert.weights import Floats, SafetensorsFile
from worker.model_tools.external_data import MAX_BYTES
from worker.model_tools.manifest_writer import read_config
from worker.models.bundle import BundleError
from worker.models.manifest import Task

WEIGHTS = "model.safetensors"

GRAPH_VERSION = "1"
"""Written into the file. Not the package's version, so that equal graphs give equal files."""


def convert_directory(directory: Path) -> onnx.ModelProto:
    """The graph of `config.json` and `model.safetensors`. Raises `BundleError`, `OSError`."""
    architecture = read_architecture(read_config(directory))
    path = directory / WEIGHTS
    if not path.is_file():
        raise BundleError(
            f"{directory}: {WEIGHTS} is missing; weights in several files or in a pickle "
            f"(pytorch_model.bin) are not converted"
        )
    with SafetensorsFile(path) as weights:
        return convert(weights, architecture)


def convert(weights: Mapping[str, Floats], architecture: Architecture) -> onnx.ModelProto:
    """The graph of `weights`, which are keyed by Hugging Face's names.

    The task follows from the heads among them. All inputs are int64 (batch, sequence):
    `input_ids`, `attention_mask` and, for BERT, `token_type_ids`. Outputs are float32:
    `start_logits` and `end_logits` (batch, sequence), or `last_hidden_state` (batch, sequence,
    width). A row of padding only gives finite numbers. Raises `BundleError`.
    """
    plain = plain_names(weights)
    task = find_task(plain)
    tensors = expected_tensors(architecture, task)
    check_names(plain, tensors)
    _check_size(tensors)
    graph = Graph()
    for tensor in tensors:
        name = plain[tensor.checkpoint_name]
        values = weights[name]
        if values.shape != tensor.shape:
            raise BundleError(f"{name} is {values.shape}; by config.json it must be {tensor.shape}")
        graph.tensor(tensor.name, _layout(tensor, values, architecture))
    encoder = Encoder(graph, architecture)
    hidden = encoder.encode()
    outputs: dict[str, list[str | int]]
    if task is Task.QUESTION_ANSWERING:
        encoder.logits(hidden)
        outputs = {name: ["batch", "sequence"] for name in ("start_logits", "end_logits")}
    else:
        graph.node("last_hidden_state", "Identity", hidden)
        outputs = {"last_hidden_state": ["batch", "sequence", architecture.width]}
    inputs = ["input_ids", "attention_mask"]
    if architecture.token_types:
        inputs.append("token_type_ids")
    return graph.model(
        architecture.family,
        inputs,
        outputs,
        version=GRAPH_VERSION,
        metadata={"model_type": architecture.family, "task": task},
    )


def _check_size(tensors: Iterable[Tensor]) -> None:
    size = sum(4 * math.prod(tensor.shape) for tensor in tensors)
    if size > MAX_BYTES:
        raise BundleError(
            f"the weights take {size / 1e9:.2f} GB as float32; one ONNX file holds "
            f"{MAX_BYTES / 1e9:.2f} GB"
        )


def _layout(tensor: Tensor, values: Floats, architecture: Architecture) -> Floats:
    """(inputs, outputs), and the query divided by sqrt(head size).

    The division is exact if the head size is a power of 4 (64 in the base models). Otherwise it
    rounds each weight once, where a division in the graph would round each product once.
    """
    if ".attention.query." in tensor.name:
        root = math.sqrt(architecture.head_size)
        values = (values.astype(np.float64) / root).astype(np.float32)
    return values.T if tensor.is_matrix else values
