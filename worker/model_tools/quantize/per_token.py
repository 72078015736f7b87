"""Quantizes linear layers to int8, with one scale for each token.

A layer's activations are a matrix with a row for each token. With one scale for all rows, as in
onnxruntime's dynamic quantization, the largest value of any token sets the step of all: tokens lose
precision, and a window's answer depends on the other windows of the batch. One scale for each row
needs no calibration and keeps rows independent. Products of int8 are summed exactly in int32, so
that a window's outputs are the same, bit by bit, in any batch.

For activations X (tokens, inputs) and weights W (inputs, outputs), with |.| the largest of a row
of X or a column of W:

    s = |X| / 127 (tokens,)      Q = round(X / s) + 128, uint8
    c = |W| / 127 (outputs,)     V = round(W / c), int8
    X W ~ ((Q - 128) V) * c * s

After a GELU, whose minimum is -0.17, the zero point is 16 instead of 128, so that nearly all steps
are above zero, where the values are. The formulas of "LLM.int8()" (Dettmers et al., 2022),
section 2.1, "row-wise", and of "ZeroQuant" (Yao et al., 2022), "token-wise".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from worker.model_tools.quantize.layers import (
    Floats,
    Linear,
    LookupTable,
    linear_layers,
    lookup_tables,
)

MICROSOFT = "com.microsoft"
"""onnxruntime's operators, of which MatMulIntegerToFloat scales its product in the cache."""

_LEVELS = 127
_ZERO = 128
_GELUS = frozenset({"BiasGelu", "FastGelu", "Gelu"})
"""Operators of GELU: the standard's, and those of graphs that onnxruntime has optimized."""
_GELU_LOWEST = 0.17
"""GELU's minimum is -0.16997, at -0.7518."""
_GELU_ZERO = 16
_GELU_LEVELS = 255 - _GELU_ZERO


def quantize_per_token(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its linear layers and lookup tables in int8. Modifies `model`.

    Needs opset 18 or later, in which reductions take their axes as an input.
    """
    return _GraphRewriter(model).rewrite()


class _GraphRewriter:
    """Collects nodes and tensors of the new graph, in the order of the old nodes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._shared: set[str] = set()
        self._quantized: set[str] = set()
        self._outer_axes = _outer_axes(model)
        self._outers: dict[tuple[str, ...], str] = {}
        self._gelus = _gelu_outputs(model.graph)

    def rewrite(self) -> onnx.ModelProto:
        graph = self._model.graph
        layers = {layer.node.output[0]: layer for layer in linear_layers(self._model)}
        lookups = {table.node.output[0]: table for table in lookup_tables(self._model)}
        for node in graph.node:
            output = node.output[0]
            if output in layers:
                self._multiply(layers[output])
            elif output in lookups:
                self._look_up(lookups[output])
            else:
                self._nodes.append(node)
        self._keep_used(graph.initializer)
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._tensors)
        if all(entry.domain != MICROSOFT for entry in self._model.opset_import):
            self._model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        return self._model

    def _multiply(self, layer: Linear) -> None:
        values, output = layer.values, layer.node.output[0]
        if values not in self._quantized:
            self._quantize(values)
            self._quantized.add(values)
        # Named after the product, so that layers that share a weight get a copy each: onnxruntime
        # cannot convert shared weights to unsigned.
        weight = f"{output}.weight"
        integers, scales = _to_int8(layer.weight, axis=0)
        self._tensor(f"{weight}.int8", integers)
        self._tensor(f"{weight}.scales", scales)
        product = self._node(
            f"{output}.product",
            "MatMulIntegerToFloat",
            f"{values}.int8",
            f"{weight}.int8",
            # The operator takes one scale for all tokens; theirs are applied below.
            self._constant("int8.one", np.float32(1)),
            f"{weight}.scales",
            self._zero(values),
            domain=MICROSOFT,
        )
        rows = self._node(f"{output}.scaled", "Mul", product, f"{values}.column")
        self._node(output, "Reshape", rows, self._shape(values, len(scales)))

    def _quantize(self, values: str) -> None:
        """`values`.int8 (tokens, inputs) and `values`.column (tokens, 1), their scales."""
        # A negative axis keeps the last dimension and flattens the others to tokens.
        rows = self._node(f"{values}.rows", "Flatten", values, axis=-1)
        last = self._constant("int8.last", np.array([-1], np.int64))
        if values in self._gelus:
            largest = self._node(f"{values}.largest", "ReduceMax", rows, last, keepdims=0)
            step = self._constant("int8.gelu_step", np.float32(1 / _GELU_LEVELS))
            least = self._constant("int8.gelu_least", np.float32(_GELU_LOWEST / _GELU_ZERO))
        else:
            sizes = self._node(f"{values}.sizes", "Abs", rows)
            largest = self._node(f"{values}.largest", "ReduceMax", sizes, last, keepdims=0)
            step = self._constant("int8.step", np.float32(1 / _LEVELS))
            # For a row of zeros, to avoid a division by zero.
            least = self._constant("int8.least", np.finfo(np.float32).tiny)
        steps = self._node(f"{values}.steps", "Mul", largest, step)
        scales = self._node(f"{values}.scales", "Max", steps, least)
        zeros = self._zeros(values, scales)
        self._node(f"{values}.int8", "QuantizeLinear", rows, scales, zeros, axis=0)
        self._node(f"{values}.column", "Unsqueeze", scales, last)

    def _look_up(self, table: LookupTable) -> None:
        name, output, ids = table.rows_name, table.node.output[0], table.node.input[1]
        if name not in self._quantized:
            integers, scales = _to_int8(table.rows, axis=1)
            self._tensor(f"{name}.int8", integers)
            self._tensor(f"{name}.scales", scales[:, None])
            self._quantized.add(name)
        picked = self._node(f"{output}.picked", "Gather", f"{name}.int8", ids)
        scale = self._node(f"{output}.scale", "Gather", f"{name}.scales", ids)
        floats = self._node(f"{output}.float", "Cast", picked, to=TensorProto.FLOAT)
        self._node(output, "Mul", floats, scale)

    # Operators on shapes cost more to start than to run, so values with the same axes share them.

    def _outer(self, values: str) -> str:
        """The shape without the last axis, shared by all values with the same axes."""
        axes = self._outer_axes.get(values, ("", values))
        if axes not in self._outers:
            self._outers[axes] = self._node(f"{values}.outer", "Shape", values, end=-1)
        return self._outers[axes]

    def _shape(self, values: str, width: int) -> str:
        outer = self._outer(values)
        name = f"{outer}.{width}"
        if name not in self._shared:
            self._shared.add(name)
            size = self._constant(f"int8.width.{width}", np.array([width], np.int64))
            self._node(name, "Concat", outer, size, axis=0)
        return name

    def _zeros(self, values: str, scales: str) -> str:
        """The zero point, repeated for each token."""
        point = self._zero_point(values)
        name = f"{self._outer(values)}.zeros.{point}"
        if name not in self._shared:
            self._shared.add(name)
            tokens = self._node(f"{name}.tokens", "Shape", scales)
            content = helper.make_tensor("value", TensorProto.UINT8, [1], [point])
            self._node(name, "ConstantOfShape", tokens, value=content)
        return name

    def _zero_point(self, values: str) -> int:
        return _GELU_ZERO if values in self._gelus else _ZERO

    def _zero(self, values: str) -> str:
        point = self._zero_point(values)
        return self._constant(f"int8.zero.{point}", np.uint8(point))

    def _keep_used(self, tensors: Sequence[onnx.TensorProto]) -> None:
        used = {name for node in self._nodes for name in node.input}
        used.update(entry.name for entry in self._model.graph.output)
        # Old exports list weights among the inputs; unused ones would become required inputs.
        gone = {tensor.name for tensor in tensors} - used
        for entry in [entry for entry in self._model.graph.input if entry.name in gone]:
            self._model.graph.input.remove(entry)
        self._tensors.extend(tensor for tensor in tensors if tensor.name in used)

    def _node(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _tensor(self, name: str, values: NDArray[np.generic]) -> str:
        self._tensors.append(numpy_helper.from_array(values, name))
        return name

    def _constant(self, name: str, value: np.generic | NDArray[np.generic]) -> str:
        if name not in self._shared:
            self._shared.add(name)
            self._tensor(name, np.asarray(value))
        return name


def _to_int8(matrix: Floats, *, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """The matrix in steps of -127 to 127, and the step sizes: one for each line along `axis`."""
    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scales = np.maximum(largest / _LEVELS, np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(matrix / scales).astype(np.int8), scales.ravel()


def _gelu_outputs(graph: onnx.GraphProto) -> set[str]:
    """The outputs of GELUs, in other shapes too."""
    outputs: set[str] = set()
    for node in graph.node:
        shaped = node.op_type in ("Flatten", "Reshape") and node.input[0] in outputs
        if node.op_type in _GELUS or shaped:
            outputs.update(node.output)
    return outputs


def _outer_axes(model: onnx.ModelProto) -> dict[str, tuple[str, ...]]:
    """Value to the names of its axes but the last, if all have names. Equal names, equal sizes."""
    axes = {}
    for value in onnx.shape_inference.infer_shapes(model).graph.value_info:
        outer = [axis.dim_param for axis in value.type.tensor_type.shape.dim][:-1]
        if outer and all(outer):
            axes[value.name] = tuple(outer)
    return axes
