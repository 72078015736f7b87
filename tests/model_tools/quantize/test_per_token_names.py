"""Layers and tables whose names or weights meet."""

import numpy as np
import onnx
from numpy.typing import NDArray

from tests.model_tools.linear_graphs import (
    graph,
    node,
    opened,
    outputs_of,
    quantized,
    random_floats,
)
from worker.model_tools.quantize.layers import MIN_ROWS
from worker.model_tools.quantize.per_token import quantize_per_token


def assert_close(model: onnx.ModelProto, x: NDArray[np.generic]) -> None:
    (expected,) = outputs_of(opened(model.SerializeToString()), x)
    (found,) = outputs_of(quantized(model), x)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_consecutive_layers_are_quantized() -> None:
    nodes = [node("MatMul", "x a", "h"), node("MatMul", "h b", "y")]
    model = graph(nodes, {"a": random_floats(16, 20), "b": random_floats(20, 24)}, ["n", 16])
    assert_close(model, random_floats(3, 16))


def test_layers_can_share_weights() -> None:
    nodes = [node("MatMul", "x a", "h"), node("Tanh", "h", "t"), node("MatMul", "t a", "y")]
    model = graph(nodes, {"a": random_floats(16, 16)}, ["n", 16])
    assert_close(model, random_floats(3, 16))


def test_lookup_can_feed_a_layer_directly() -> None:
    nodes = [node("Gather", "words ids", "h"), node("MatMul", "h b", "y")]
    tensors = {"words": random_floats(MIN_ROWS, 16), "b": random_floats(16, 24)}
    model = graph(nodes, tensors, ["n", "m"], outputs={"y": 3}, takes="ids")
    assert_close(model, np.array([[1, 2, 3]]))


def test_replaced_weights_leave_the_inputs() -> None:
    model = graph([node("MatMul", "x a", "y")], {"a": random_floats(16, 20)}, ["n", 16])
    info = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [16, 20])
    model.graph.input.append(info)
    result = quantize_per_token(model)
    assert [entry.name for entry in result.graph.input] == ["x"]


def test_axis_can_have_the_name_of_a_value() -> None:
    nodes = [
        node("MatMul", "x a", "first"),
        node("Squeeze", "x zero", "flat"),
        node("Identity", "flat", "same"),
        node("MatMul", "same b", "y"),
    ]
    tensors = {
        "a": random_floats(16, 20),
        "b": random_floats(16, 24),
        "zero": np.array([0]),
    }
    model = graph(nodes, tensors, ["one", "x", 16], outputs={"first": 3, "y": 2})
    _, found = outputs_of(quantized(model), random_floats(1, 5, 16))
    assert found.shape == (5, 24)
