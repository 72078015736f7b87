"""Graphs in files to int8 ones by either method, and which of them are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.model_tools.linear_graphs import graph, node, opened, outputs_of, random_floats
from worker.model_tools.graph_info import inspect_graph
from worker.model_tools.quantize.quantize import Method, quantize_file
from worker.models.bundle import BundleError

WORDS, WEIGHT = random_floats(8, 16), random_floats(16, 16, seed=1)
IDS = np.array([[1, 2, 3], [7, 0, 7]])


def small_graph(*, opset: int = 20, product: str = "MatMul", mean: bool = False) -> onnx.ModelProto:
    """Words are looked up, bent and multiplied; and from their product their mean taken off."""
    last = "product" if mean else "last_hidden_state"
    nodes = [
        node("Gather", "words input_ids", "picked"),
        node("Tanh", "picked", "bent"),
        node(product, "bent w", last),
    ]
    if mean:
        # Up to opset 17 its axes are an attribute.
        nodes.append(node("ReduceMean", "product", "mean", axes=[-1], keepdims=1))
        nodes.append(node("Sub", "product mean", "last_hidden_state"))
    return graph(
        nodes,
        {"words": WORDS, "w": WEIGHT},
        ["batch", "sequence"],
        outputs={"last_hidden_state": 3},
        takes="input_ids",
        opset=opset,
    )


def saved(directory: Path, model: onnx.ModelProto) -> Path:
    file = directory / "float.onnx"
    onnx.save(model, file)
    return file


def refusal(file: Path, method: Method) -> str:
    target = file.with_name("int8.onnx")
    with pytest.raises(BundleError) as caught:
        quantize_file(file, target, method)
    assert not target.exists()
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    return said


# Files.


@pytest.mark.parametrize("method", Method)
def test_quantized_graph_reports_its_precision(tmp_path: Path, method: Method) -> None:
    source, target = saved(tmp_path, small_graph()), tmp_path / "int8.onnx"
    before = inspect_graph(source)
    quantize_file(source, target, method)
    facts = inspect_graph(target)
    assert facts == replace(before, precision="int8", batch_dependent=method is Method.DYNAMIC)
    (found,) = outputs_of(opened(target.read_bytes()), IDS)
    error = np.abs(found - np.tanh(WORDS[IDS]) @ WEIGHT)
    assert 0 < error.max() < 0.3


@pytest.mark.parametrize("method", Method)
def test_each_weight_column_has_a_scale(tmp_path: Path, method: Method) -> None:
    target = tmp_path / "int8.onnx"
    quantize_file(saved(tmp_path, small_graph()), target, method)
    floats = [
        list(tensor.dims)
        for tensor in onnx.load(target).graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
    ]
    assert [WEIGHT.shape[1]] in floats
    assert list(WEIGHT.shape) not in floats


@pytest.mark.parametrize("method", Method)
def test_quantizing_is_deterministic(tmp_path: Path, method: Method) -> None:
    source = saved(tmp_path, small_graph())
    before = source.read_bytes()
    for name in ("one", "other"):
        quantize_file(source, tmp_path / name, method)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert source.read_bytes() == before


def test_file_can_be_quantized_in_place(tmp_path: Path) -> None:
    source = saved(tmp_path, small_graph())
    quantize_file(source, tmp_path / "other", Method.PER_TOKEN)
    quantize_file(source, source, Method.PER_TOKEN)
    assert source.read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_older_opset_is_converted(tmp_path: Path, opset: int) -> None:
    source = saved(tmp_path, small_graph(opset=opset, mean=True))
    (expected,) = outputs_of(opened(source.read_bytes()), IDS)
    quantize_file(source, tmp_path / "int8.onnx", Method.PER_TOKEN)
    result = onnx.load(tmp_path / "int8.onnx")
    onnx.checker.check_model(result, full_check=True)
    versions = {entry.domain: entry.version for entry in result.opset_import}
    assert versions == {"": 20, "com.microsoft": 1}
    (found,) = outputs_of(opened(result.SerializeToString()), IDS)
    assert 0 < np.abs(found - expected).max() < 0.3
    assert "w" not in {tensor.name for tensor in result.graph.initializer}


@pytest.mark.parametrize("opset", [18, 20, 21])
def test_later_opset_is_kept_or_converted(tmp_path: Path, opset: int) -> None:
    quantize_file(
        saved(tmp_path, small_graph(opset=opset)), tmp_path / "int8.onnx", Method.PER_TOKEN
    )
    (version,) = (
        entry.version
        for entry in onnx.load(tmp_path / "int8.onnx").opset_import
        if not entry.domain
    )
    assert version == max(opset, 20)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("first", Method)
def test_int8_graph_is_refused(tmp_path: Path, first: Method, method: Method) -> None:
    source = saved(tmp_path, small_graph())
    quantize_file(source, source, first)
    assert refusal(source, method).endswith("is int8; only float32 is quantized")


@pytest.mark.parametrize("method", Method)
def test_float16_graph_is_refused(tmp_path: Path, method: Method) -> None:
    model = small_graph()
    model.graph.initializer[1].CopyFrom(
        onnx.numpy_helper.from_array(WEIGHT.astype(np.float16), "w")
    )
    assert refusal(saved(tmp_path, model), method).endswith("is float16; only float32 is quantized")


@pytest.mark.parametrize("method", Method)
def test_graph_without_linear_layers_is_refused(tmp_path: Path, method: Method) -> None:
    source = saved(tmp_path, small_graph(product="Add"))
    assert "has no linear layer to quantize" in refusal(source, method)


@pytest.mark.parametrize("method", Method)
def test_optimized_graph_is_quantized(tmp_path: Path, method: Method) -> None:
    # As onnxruntime saves it: operators of its own, behind which no type is inferred.
    model = small_graph()
    model.graph.node[1].CopyFrom(node("FastGelu", "picked", "bent", domain="com.microsoft"))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    source = saved(tmp_path, model)
    quantize_file(source, tmp_path / "int8.onnx", method)
    (expected,) = outputs_of(opened(source.read_bytes()), IDS)
    (found,) = outputs_of(opened((tmp_path / "int8.onnx").read_bytes()), IDS)
    assert 0 < np.abs(found - expected).max() < 0.3


def test_inconvertible_opset_is_refused_with_a_workaround(
    tmp_path: Path,
) -> None:
    model = small_graph(opset=13)
    model.graph.node.append(node("Nonsense", "w", "left"))
    said = refusal(saved(tmp_path, model), Method.PER_TOKEN)
    assert "cannot be converted from opset 13 to 20 (" in said
    assert "Nonsense" in said
    assert said.endswith("export it with opset 20, or use --method dynamic")


def test_invalid_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="not an ONNX file"):
        quantize_file(tmp_path / "x", tmp_path / "int8.onnx", Method.PER_TOKEN)
