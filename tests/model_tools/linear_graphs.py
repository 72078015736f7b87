"""Small graphs with products and lookups, put together node by node, and what they compute."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from worker.inference.onnx_session import UNSIGNED_WEIGHTS
from worker.model_tools.quantize.per_token import quantize_per_token

Floats = NDArray[np.float32]
Axes = Sequence[str | int | None]


def random_floats(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def tensor(name: str, values: NDArray[np.generic]) -> onnx.TensorProto:
    return numpy_helper.from_array(values, name)


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """`inputs` are names with blanks between them."""
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def graph(
    nodes: Sequence[onnx.NodeProto],
    tensors: Mapping[str, NDArray[np.generic]],
    axes: Axes,
    *,
    outputs: Mapping[str, int] | None = None,
    takes: str = "x",
    opset: int = 20,
) -> onnx.ModelProto:
    """One input: floats `x`, or integers where it `takes` anything else. Outputs by their ranks;
    without any it is `y`, of as many as the input's.
    """
    kind = TensorProto.FLOAT if takes == "x" else TensorProto.INT64
    return helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(takes, kind, axes)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
                for name, rank in (outputs or {"y": len(axes)}).items()
            ],
            [tensor(name, values) for name, values in tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
    )


def opened(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # Exact on any processor, as the session has it where that is needed.
    options.add_session_config_entry(UNSIGNED_WEIGHTS, "1")
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def quantized(model: onnx.ModelProto) -> ort.InferenceSession:
    """Of a copy of the graph: the rewriting uses up what it is given."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    result = quantize_per_token(copy)
    onnx.checker.check_model(result, full_check=True)
    return opened(result.SerializeToString())


def outputs_of(session: ort.InferenceSession, values: NDArray[np.generic]) -> list[Floats]:
    (entry,) = session.get_inputs()
    found: list[Floats] = session.run(None, {entry.name: values})
    return found
