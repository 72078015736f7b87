"""Reads a graph's tensors, task and precision, and operators that depend on the batch.

Reads the file with `onnx`; runs nothing. `batch_invariance` runs a graph in batches.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from worker.inference.onnx_session import OUTPUTS, check_inputs
from worker.models.bundle import BundleError
from worker.models.error_text import first_line
from worker.models.manifest import Task

# Dynamic operators take activation ranges over the whole batch, and MatMulNBits selects its kernel
# by the processor and the number of rows: batches that agree on one machine differ on another.
_BATCH_DEPENDENT = frozenset(
    {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulNBits"}
)

_BEFORE_WEIGHTS = frozenset({"Cast", "DequantizeLinear", "Identity", "Transpose"})
"""Operators between a weight and its product."""

_PRECISIONS: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
    TensorProto.INT4: "int4",
    TensorProto.UINT4: "int4",
}


@dataclass(frozen=True, slots=True)
class GraphInfo:
    """The fields of a manifest that follow from the graph."""

    task: Task
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    precision: str
    batch_dependent: bool
    """Whether an operator is known to depend on the batch. If none is, only a run tells."""


def inspect_graph(model_file: Path) -> GraphInfo:
    """Raises `BundleError` if the file is not a graph that the worker can run."""
    try:
        model = onnx.load(model_file, load_external_data=False)
    except Exception as error:
        raise BundleError(f"{model_file}: not an ONNX file: {first_line(error)}") from None
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise BundleError(
            f"{model_file}: its weights are in other files; save it as one file (below 2 GB)"
        )
    # Old exports list their weights among the inputs.
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(entry.name for entry in model.graph.input if entry.name not in weights)
    outputs = tuple(entry.name for entry in model.graph.output)
    check_inputs(model_file, inputs)
    for entry in model.graph.input:
        if entry.name in inputs:
            _check_axes(model_file, entry)
    return GraphInfo(
        task=_task(model_file, outputs),
        inputs=inputs,
        outputs=outputs,
        precision=_precision(model),
        batch_dependent=any(node.op_type in _BATCH_DEPENDENT for node in model.graph.node),
    )


def _check_axes(model_file: Path, entry: onnx.ValueInfoProto) -> None:
    """Raise `BundleError` unless the input is (batch, sequence) of integers, of any length."""
    kind = entry.type.tensor_type
    if kind.elem_type not in (TensorProto.INT64, TensorProto.INT32):
        name = TensorProto.DataType.Name(kind.elem_type)
        raise BundleError(f"{model_file}: {entry.name} is {name}; export it as INT64 or INT32")
    if not kind.HasField("shape"):
        return
    sizes = [axis.dim_value for axis in kind.shape.dim]
    if len(sizes) != 2:
        raise BundleError(
            f"{model_file}: {entry.name} has {len(sizes)} axes; needed are batch and sequence"
        )
    batch, tokens = sizes
    if tokens:
        raise BundleError(
            f"{model_file}: {entry.name} is fixed at {tokens} tokens; windows have any length: "
            "export it with a dynamic sequence axis"
        )
    if batch > 1:
        raise BundleError(
            f"{model_file}: {entry.name} is fixed at {batch} windows in a batch; export it with a "
            "dynamic batch axis"
        )


def _task(model_file: Path, outputs: tuple[str, ...]) -> Task:
    for task, needed in OUTPUTS.items():
        if set(needed) <= set(outputs):
            return task
    wanted = "; ".join(f"{task}: {', '.join(needed)}" for task, needed in OUTPUTS.items())
    raise BundleError(f"{model_file}: its outputs are {sorted(outputs)}; needed are ({wanted})")


def _precision(model: onnx.ModelProto) -> str:
    """The precision of most weights of matrix products. Lookup tables may have another.

    Exporters leave weights in Constant nodes, and behind nodes that transpose or convert them.
    """
    names = {name for node in model.graph.node if "MatMul" in node.op_type for name in node.input}
    names |= {name for node in model.graph.node if node.op_type == "Gemm" for name in node.input}
    for node in reversed(model.graph.node):
        if node.op_type in _BEFORE_WEIGHTS and names.intersection(node.output):
            names.update(node.input)
    constants = [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant" and names.intersection(node.output)
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    weights: Counter[int] = Counter()
    for tensor in (*constants, *(each for each in model.graph.initializer if each.name in names)):
        weights[tensor.data_type] += math.prod(tensor.dims)
    if any(node.op_type == "MatMulNBits" for node in model.graph.node):
        return _bits(model)
    known = [(size, _PRECISIONS[kind]) for kind, size in weights.items() if kind in _PRECISIONS]
    return max(known)[1] if known else "float32"


def _bits(model: onnx.ModelProto) -> str:
    widths = Counter(
        attribute.i
        for node in model.graph.node
        if node.op_type == "MatMulNBits"
        for attribute in node.attribute
        if attribute.name == "bits"
    )
    return f"int{widths.most_common(1)[0][0]}"
