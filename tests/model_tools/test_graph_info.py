"""What is read off a graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.inference.bundles import tiny_model
from tests.model_tools.tiny_models import Model
from worker.model_tools.graph_info import GraphInfo, inspect_graph
from worker.models.bundle import DEFAULT_BUNDLE, BundleError
from worker.models.manifest import MODEL, Task

WEIGHTS = np.ones((4, 4))
LOGITS = ("start_logits", "end_logits")


def graph(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto] = (),
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    outputs: Sequence[str] = LOGITS,
) -> onnx.ModelProto:
    """A file with these parts. It need not run: nothing here is run."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            tensors,
        )
    )


def facts(tmp_path: Path, model: onnx.ModelProto) -> GraphInfo:
    onnx.save(model, tmp_path / MODEL)
    return inspect_graph(tmp_path / MODEL)


def refusal(tmp_path: Path, model: onnx.ModelProto) -> str:
    with pytest.raises(BundleError) as caught:
        facts(tmp_path, model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tensor(name: str, kind: int) -> onnx.TensorProto:
    if kind == TensorProto.INT4:
        return helper.make_tensor(name, kind, [4, 4], np.ones(16, np.int8))
    return numpy_helper.from_array(WEIGHTS.astype(helper.tensor_dtype_to_np_dtype(kind)), name)


# The task, by the outputs.


def test_task_follows_from_the_heads(tmp_path: Path, model: Model) -> None:
    found = facts(tmp_path, model.proto)
    assert found.task is (Task.QUESTION_ANSWERING if model.has_head else Task.EMBEDDINGS)
    assert found.outputs == (LOGITS if model.has_head else ("last_hidden_state",))
    types = ("token_type_ids",) if model.config["model_type"] == "bert" else ()
    assert found.inputs == ("input_ids", "attention_mask", *types)
    assert found.precision == "float32"


def test_extra_outputs_are_ignored(tmp_path: Path) -> None:
    found = facts(tmp_path, graph([], outputs=("last_hidden_state", "pooler_output")))
    assert found.task is Task.EMBEDDINGS


@pytest.mark.parametrize("outputs", [("logits",), ("start_logits",)])
def test_unsupported_outputs_are_refused(tmp_path: Path, outputs: Sequence[str]) -> None:
    said = refusal(tmp_path, graph([], outputs=outputs))
    assert f"its outputs are {sorted(outputs)}" in said
    assert "question-answering: start_logits, end_logits" in said


@pytest.mark.parametrize("inputs", [("inputs_embeds",), ("input_ids", "position_ids")])
def test_unsupported_inputs_are_refused(tmp_path: Path, inputs: Sequence[str]) -> None:
    assert f"takes {sorted(inputs)}" in refusal(tmp_path, graph([], inputs=inputs))


def test_weights_among_the_inputs_are_not_inputs(tmp_path: Path) -> None:
    weights = tensor("weights", TensorProto.FLOAT)
    found = facts(tmp_path, graph([], [weights], inputs=("input_ids", "weights")))
    assert found.inputs == ("input_ids",)


# The precision, by the weights of the matrix products.


@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        (TensorProto.FLOAT, "float32"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.INT8, "int8"),
        (TensorProto.UINT8, "int8"),
    ],
)
@pytest.mark.parametrize("operator", ["MatMul", "MatMulInteger", "Gemm"])
def test_precision_is_that_of_the_matrices(
    tmp_path: Path, kind: int, precision: str, operator: str
) -> None:
    product = helper.make_node(operator, ["x", "weights"], ["y"])
    assert facts(tmp_path, graph([product], [tensor("weights", kind)])).precision == precision


@pytest.mark.parametrize(
    ("kind", "precision"), [(TensorProto.INT8, "int8"), (TensorProto.INT4, "int4")]
)
def test_dequantized_matrices_count_with_their_stored_type(
    tmp_path: Path, kind: int, precision: str
) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["weights", "scale"], ["unpacked"]),
        helper.make_node("MatMul", ["x", "unpacked"], ["y"]),
    ]
    assert facts(tmp_path, graph(nodes, [tensor("weights", kind)])).precision == precision


@pytest.mark.parametrize("bits", [4, 8])
def test_block_quantized_matrices_are_named_by_their_bits(tmp_path: Path, bits: int) -> None:
    product = helper.make_node("MatMulNBits", ["x", "packed"], ["y"], bits=bits)
    found = facts(tmp_path, graph([product], [tensor("packed", TensorProto.UINT8)]))
    assert found.precision == f"int{bits}"


@pytest.mark.parametrize("operator", ["Transpose", "Identity", "Cast"])
def test_matrices_behind_other_operators_count(tmp_path: Path, operator: str) -> None:
    nodes = [
        helper.make_node(operator, ["weights"], ["turned"]),
        helper.make_node("MatMul", ["x", "turned"], ["y"]),
    ]
    found = facts(tmp_path, graph(nodes, [tensor("weights", TensorProto.FLOAT16)]))
    assert found.precision == "float16"


def test_matrices_in_constants_count(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor("w", TensorProto.FLOAT16)),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    assert facts(tmp_path, graph(nodes)).precision == "float16"


def test_lookup_tables_do_not_affect_the_precision(tmp_path: Path) -> None:
    words = numpy_helper.from_array(np.ones((1000, 4), np.float32), "words")
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["x"]),
        helper.make_node("MatMulInteger", ["x", "weights"], ["y"]),
    ]
    model = graph(nodes, [words, tensor("weights", TensorProto.INT8)])
    assert facts(tmp_path, model).precision == "int8"


def test_precision_is_that_of_most_weights(tmp_path: Path) -> None:
    heads = [numpy_helper.from_array(np.ones((4, 1), np.float32), name) for name in "ab"]
    nodes = [
        helper.make_node("MatMulInteger", ["x", "weights"], ["y"]),
        helper.make_node("MatMul", ["y", "a"], ["z"]),
        helper.make_node("MatMul", ["y", "b"], ["z"]),
    ]
    model = graph(nodes, [tensor("weights", TensorProto.INT8), *heads])
    assert facts(tmp_path, model).precision == "int8"


def test_default_model_matches_its_manifest(tmp_path: Path) -> None:
    found = inspect_graph(DEFAULT_BUNDLE / MODEL)
    assert found.precision == "int8"


# The axes of the inputs.


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (["batch", 384], "input_ids is fixed at 384 tokens; windows have any length: export it"),
        ([4, "sequence"], "input_ids is fixed at 4 windows in a batch; export it with a dynamic"),
        (["batch"], "input_ids has 1 axes; needed are batch and sequence"),
    ],
)
def test_inputs_of_one_size_are_refused(
    tmp_path: Path, axes: Sequence[str | int], message: str
) -> None:
    model = graph([])
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, axes)
    )
    assert message in refusal(tmp_path, model)


def test_inputs_of_floats_are_refused(tmp_path: Path) -> None:
    model = graph([])
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    assert refusal(tmp_path, model).endswith("input_ids is FLOAT; export it as INT64 or INT32")


# Operators that depend on the batch, whatever a run on this processor gives.


@pytest.mark.parametrize(
    ("operator", "dependent"),
    [("DynamicQuantizeLinear", True), ("MatMulNBits", True), ("QuantizeLinear", False)],
)
def test_operators_that_depend_on_the_batch_are_known(
    tmp_path: Path, operator: str, dependent: bool
) -> None:
    node = helper.make_node(operator, ["x"], ["y"], bits=8)
    assert facts(tmp_path, graph([node])).batch_dependent is dependent


# Invalid graphs.


def test_invalid_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(b"weights?")
    with pytest.raises(BundleError, match="not an ONNX file"):
        inspect_graph(tmp_path / MODEL)


def test_external_weights_are_refused(tmp_path: Path) -> None:
    onnx.save(
        graph([], [numpy_helper.from_array(np.ones(1000, np.float32), "weights")]),
        tmp_path / MODEL,
        save_as_external_data=True,
    )
    with pytest.raises(BundleError, match="its weights are in other files"):
        inspect_graph(tmp_path / MODEL)


def test_test_models_are_accepted(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_bytes(tiny_model())
    assert inspect_graph(tmp_path / MODEL).task is Task.QUESTION_ANSWERING
