"""What exporters write in other ways is quantized as the converter's own graphs are."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.model_tools.linear_graphs import (
    graph,
    node,
    opened,
    outputs_of,
    quantized,
    random_floats,
    tensor,
)
from worker.model_tools.quantize.layers import linear_layers
from worker.model_tools.quantize.per_token import quantize_per_token
from worker.model_tools.quantize.simplify import simplify

WEIGHT, BIAS, X = random_floats(4, 16), random_floats(16, seed=1), random_floats(5, 4, seed=2)
CONSTANT = helper.make_node("Constant", [], ["w"], value=tensor("w", WEIGHT))
TURNED = np.ascontiguousarray(WEIGHT.T)


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Its outputs stay the same."""
    before = outputs_of(opened(model.SerializeToString()), X)
    simplify(model)
    onnx.checker.check_model(model, full_check=True)
    after = outputs_of(opened(model.SerializeToString()), X)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return model


def kinds(model: onnx.ModelProto) -> list[str]:
    return [each.op_type for each in model.graph.node]


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([CONSTANT, node("MatMul", "x w", "y")], {}),
        ([node("Transpose", "t", "w", perm=[1, 0]), node("MatMul", "x w", "y")], {"t": TURNED}),
        ([node("Transpose", "t", "w"), node("MatMul", "x w", "y")], {"t": TURNED}),
        ([node("Identity", "t", "w"), node("MatMul", "x w", "y")], {"t": WEIGHT}),
        ([node("Gemm", "x w", "y")], {"w": WEIGHT}),
        ([node("Gemm", "x w", "y", transB=1)], {"w": TURNED}),
        ([node("Gemm", "x w b", "y", transB=1)], {"w": TURNED, "b": BIAS}),
        ([node("Gemm", "x w b", "y", alpha=0.5, beta=3.0)], {"w": WEIGHT, "b": BIAS}),
    ],
    ids=["constant", "transposed", "no order", "renamed", "gemm", "transB", "bias", "factors"],
)
def test_weights_are_found_behind_other_operators(
    nodes: Sequence[onnx.NodeProto], tensors: dict[str, np.ndarray]
) -> None:
    model = simplified(graph(nodes, tensors, ["n", 4]))
    (layer,) = linear_layers(model)
    assert layer.weight.shape == WEIGHT.shape
    (found,) = outputs_of(quantized(model), X)
    (expected,) = outputs_of(opened(model.SerializeToString()), X)
    assert 0 < np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_gemm_of_transposed_activations_is_kept() -> None:
    model = graph([node("Gemm", "x w", "y", transA=1)], {"w": random_floats(5, 16)}, ["n", 4])
    assert kinds(simplified(model)) == ["Gemm"]


SCALARS = {
    name: np.array(value, np.float32)
    for name, value in {"half": 0.5, "one": 1, "root": 2**0.5, "inverse": 0.5**0.5}.items()
}
ERF = [node("Div", "x root", "a"), node("Erf", "a", "e"), node("Add", "e one", "s")]
SPELLINGS = {
    "torch": [*ERF, node("Mul", "x s", "p"), node("Mul", "p half", "y")],
    "half first": [*ERF, node("Mul", "x half", "p"), node("Mul", "p s", "y")],
    "half of the sum": [*ERF, node("Mul", "half s", "p"), node("Mul", "p x", "y")],
    "multiplied": [
        node("Mul", "inverse x", "a"),
        node("Erf", "a", "e"),
        node("Add", "one e", "s"),
        node("Mul", "x s", "p"),
        node("Mul", "half p", "y"),
    ],
}


@pytest.mark.parametrize("nodes", SPELLINGS.values(), ids=SPELLINGS)
def test_gelu_is_found_by_its_formula(nodes: Sequence[onnx.NodeProto]) -> None:
    assert kinds(simplified(graph(nodes, SCALARS, ["n", 4]))) == ["Gelu"]


def test_gelu_stays_spelled_in_older_opsets() -> None:
    model = simplified(graph(SPELLINGS["torch"], SCALARS, ["n", 4], opset=17))
    assert "Erf" in kinds(model)


def test_similar_formulas_are_kept() -> None:
    scalars = {**SCALARS, "half": np.array(0.7, np.float32)}
    assert "Erf" in kinds(simplified(graph(SPELLINGS["torch"], scalars, ["n", 4])))


def test_flattened_gelu_has_the_zero_point_of_gelu() -> None:
    nodes = [node("Gelu", "x", "g"), node("Flatten", "g", "f"), node("Gemm", "f w", "y")]
    model = simplified(graph(nodes, {"w": WEIGHT}, ["n", 4]))
    names = [each.name for each in quantize_per_token(model).graph.initializer]
    assert "int8.zero.16" in names
