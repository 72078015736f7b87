"""Finds the parts of a float graph to quantize: linear layers and lookup tables.

Finds them by their operators and not by their names, so that exports of other converters work.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

Floats = NDArray[np.float32]

MIN_OUTPUTS = 16
"""A layer with fewer outputs (the two logits) is fast, and its errors reach the answer directly."""
MIN_ROWS = 1024
"""A table with fewer rows (positions, token types) is small."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A product of activations and weights, (inputs, outputs)."""

    node: onnx.NodeProto
    weight: Floats

    @property
    def values(self) -> str:
        """The activations, the left operand."""
        return str(self.node.input[0])

    @property
    def weight_name(self) -> str:
        return str(self.node.input[1])


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A lookup of rows, (entries, width)."""

    node: onnx.NodeProto
    rows: Floats

    @property
    def rows_name(self) -> str:
        return str(self.node.input[0])


def linear_layers(model: onnx.ModelProto) -> list[Linear]:
    """In the order of computation."""
    return list(_linear_layers(model.graph))


def _linear_layers(graph: onnx.GraphProto) -> Iterator[Linear]:
    weights = _matrices(graph)
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        weight = numpy_helper.to_array(weights[node.input[1]])
        if weight.shape[1] >= MIN_OUTPUTS:
            yield Linear(node, weight)


def lookup_tables(model: onnx.ModelProto) -> list[LookupTable]:
    """In the order of computation."""
    return list(_tables(model.graph))


def _tables(graph: onnx.GraphProto) -> Iterator[LookupTable]:
    weights = _matrices(graph)
    for node in graph.node:
        if node.op_type != "Gather" or node.input[0] not in weights or _axis(node) != 0:
            continue
        rows = numpy_helper.to_array(weights[node.input[0]])
        if len(rows) >= MIN_ROWS:
            yield LookupTable(node, rows)


def _matrices(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    }


def _axis(node: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
