"""What of a graph is quantized: found by what it computes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.model_tools.linear_graphs import graph, node, random_floats
from tests.model_tools.tiny_models import Model
from worker.model_tools.quantize.layers import MIN_OUTPUTS, MIN_ROWS, linear_layers, lookup_tables

WIDE = random_floats(4, MIN_OUTPUTS)
LONG = random_floats(MIN_ROWS, 3)


def multiplied(*nodes: onnx.NodeProto, **tensors: np.ndarray) -> list[str]:
    """The layers of a graph with these parts, by their outputs."""
    return [layer.node.output[0] for layer in linear_layers(graph(nodes, tensors, ["n", 4]))]


def looked_up(*nodes: onnx.NodeProto, **tensors: np.ndarray) -> list[str]:
    return [
        table.node.output[0] for table in lookup_tables(graph(nodes, tensors, ["n"], takes="ids"))
    ]


def test_matmul_by_weights_is_a_linear_layer() -> None:
    model = graph([node("MatMul", "x w", "y")], {"w": WIDE}, ["n", 4])
    (layer,) = linear_layers(model)
    assert (layer.values, layer.weight_name, layer.node.output[0]) == ("x", "w", "y")
    np.testing.assert_array_equal(layer.weight, WIDE)


def test_layers_come_in_the_order_of_computation() -> None:
    square = random_floats(16, 16)
    nodes = [node("MatMul", "x b", "1"), node("MatMul", "1 a", "2"), node("MatMul", "2 b", "3")]
    assert multiplied(*nodes, a=square, b=random_floats(4, 16)) == ["1", "2", "3"]


@pytest.mark.parametrize(("outputs", "count"), [(MIN_OUTPUTS, 1), (MIN_OUTPUTS - 1, 0), (2, 0)])
def test_layer_with_few_outputs_is_skipped(outputs: int, count: int) -> None:
    # However many inputs it has.
    assert len(multiplied(node("MatMul", "x w", "y"), w=random_floats(99, outputs))) == count


def test_matmul_of_activations_is_not_a_layer() -> None:
    assert multiplied(node("MatMul", "x x", "y"), node("MatMul", "w x", "z"), w=WIDE) == []


def test_computed_weights_are_not_a_layer() -> None:
    nodes = [node("Identity", "w", "computed"), node("MatMul", "x computed", "y")]
    assert multiplied(*nodes, w=WIDE) == []


@pytest.mark.parametrize(
    "weights",
    [
        WIDE.astype(np.float16),
        WIDE.astype(np.int8),
        WIDE[None],
        WIDE[0],
    ],
    ids=["float16", "int8", "rank 3", "rank 1"],
)
def test_only_float32_matrices_are_weights(weights: np.ndarray) -> None:
    assert multiplied(node("MatMul", "x w", "y"), w=weights) == []


def test_other_operators_are_not_layers() -> None:
    assert multiplied(node("Add", "x w", "y"), node("Gemm", "x w", "z"), w=WIDE) == []


def test_gather_of_rows_is_a_lookup_table() -> None:
    nodes = [node("Gather", "words ids", "y")]
    (table,) = lookup_tables(graph(nodes, {"words": LONG}, ["n"], takes="ids"))
    assert (table.rows_name, table.node.output[0]) == ("words", "y")
    np.testing.assert_array_equal(table.rows, LONG)


@pytest.mark.parametrize(("rows", "count"), [(MIN_ROWS, 1), (MIN_ROWS - 1, 0), (2, 0)])
def test_table_with_few_rows_is_skipped(rows: int, count: int) -> None:
    words = random_floats(rows, MIN_ROWS)
    assert len(looked_up(node("Gather", "words ids", "y"), words=words)) == count


@pytest.mark.parametrize(("axis", "count"), [(0, 1), (1, 0), (-1, 0)])
def test_gather_on_another_axis_is_not_a_table(axis: int, count: int) -> None:
    assert len(looked_up(node("Gather", "words ids", "y", axis=axis), words=LONG)) == count


def test_other_gathers_are_not_tables() -> None:
    nodes = [node("Gather", "ids words", "y"), node("GatherElements", "words ids", "z")]
    assert looked_up(*nodes, words=LONG) == []
    assert looked_up(node("Gather", "words ids", "y"), words=LONG.astype(np.int64)) == []


def test_weights_stored_as_numbers_are_found() -> None:
    model = graph([node("MatMul", "x w", "y")], {}, ["n", 4])
    kept = helper.make_tensor("w", TensorProto.FLOAT, WIDE.shape, WIDE.ravel().tolist())
    model.graph.initializer.append(kept)
    (layer,) = linear_layers(model)
    np.testing.assert_array_equal(layer.weight, WIDE)


def test_all_layers_of_a_converted_model_are_found(model: Model) -> None:
    # Its vectors have 12 numbers, 20 between the two layers behind the attention.
    found = [layer.weight_name for layer in linear_layers(model.proto)]
    assert found == ["layer.0.ffn.up.weight", "layer.1.ffn.up.weight"]
    assert lookup_tables(model.proto) == []
