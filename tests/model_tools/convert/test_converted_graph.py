"""How converted graphs are laid out: names, bytes, and what quantizing makes of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from tests.model_tools.random_weights import Weights, write_model
from tests.model_tools.tiny_models import Model
from worker.model_tools.convert.convert import convert, convert_directory
from worker.model_tools.graph_info import inspect_graph
from worker.models.manifest import Task


def test_graph_is_valid(model: Model) -> None:
    onnx.checker.check_model(model.proto, full_check=True)


def test_bundle_of_the_graph_has_its_task(model: Model, tmp_path: Path) -> None:
    onnx.save(model.proto, tmp_path / "model.onnx")
    facts = inspect_graph(tmp_path / "model.onnx")
    task = Task.QUESTION_ANSWERING if model.has_head else Task.EMBEDDINGS
    assert (facts.task, facts.precision) == (task, "float32")
    properties = {entry.key: entry.value for entry in model.proto.metadata_props}
    assert properties == {"model_type": model.config["model_type"], "task": task}
    assert (model.proto.producer_name, model.proto.producer_version) == ("qa-worker", "1")


def test_linear_layers_are_a_matmul_and_an_add(model: Model) -> None:
    nodes = {node.name: node for node in model.proto.graph.node}
    linear = [
        f"layer.{layer}.{part}"
        for layer in (0, 1)
        for part in (
            "attention.query",
            "attention.key",
            "attention.value",
            "attention.output",
            "ffn.up",
            "ffn.down",
        )
    ]
    if model.has_head:
        linear.append("qa_outputs")
    for place in linear:
        assert (nodes[place].op_type, nodes[f"{place}.biased"].op_type) == ("MatMul", "Add")
        assert nodes[place].input[1] == f"{place}.weight"
        assert list(nodes[f"{place}.biased"].input) == [place, f"{place}.bias"]
    products = [name for name, node in nodes.items() if node.op_type == "MatMul"]
    attention = [
        f"layer.{layer}.attention.{part}" for layer in (0, 1) for part in ("scores", "mixed")
    ]
    assert sorted(products) == sorted(linear + attention)


def test_onnxruntime_quantizes_every_layer(model: Model, tmp_path: Path) -> None:
    onnx.save(model.proto, tmp_path / "model.onnx")
    quantize_dynamic(tmp_path / "model.onnx", tmp_path / "int8.onnx", weight_type=QuantType.QInt8)
    graph = onnx.load(tmp_path / "int8.onnx").graph
    integer = [node.op_type for node in graph.node].count("MatMulInteger")
    assert integer == 12 + (model.has_head)
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds["embeddings.words_quantized"] == onnx.TensorProto.UINT8
    assert kinds["embeddings.positions"] == onnx.TensorProto.FLOAT


def test_converting_is_deterministic(model: Model, tmp_path: Path) -> None:
    backwards = dict(reversed(model.weights.items()))
    again = convert(backwards, model.architecture)
    assert again.SerializeToString() == model.content
    directory = write_model(tmp_path / "model", model.config, model.weights)
    assert convert_directory(directory).SerializeToString() == model.content


def renamed(weights: Weights, rename: Callable[[str], str]) -> Weights:
    return {rename(name): array for name, array in weights.items()}


def test_names_may_have_the_familys_prefix(model: Model) -> None:
    prefix = model.prefix
    heads = ("qa_outputs.",)
    for weights in (
        renamed(model.weights, lambda name: name.removeprefix(prefix)),
        renamed(
            model.weights,
            lambda name: name if name.startswith((prefix, *heads)) else prefix + name,
        ),
    ):
        again = convert(weights, model.architecture)
        assert again.SerializeToString() == model.content


def test_tensorflow_names_of_layer_norms_are_read(model: Model) -> None:
    def old(name: str) -> str:
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        return name.replace("LayerNorm.bias", "LayerNorm.beta")

    weights = renamed(model.weights, old)
    assert weights.keys() != model.weights.keys()
    again = convert(weights, model.architecture)
    assert again.SerializeToString() == model.content


def test_training_only_tensors_are_ignored(model: Model) -> None:
    some = np.ones((2, 2), np.float32)
    left = [
        "bert.embeddings.position_ids",
        "bert.pooler.dense.bias",
        "bert.pooler.dense.weight",
        "cls.predictions.bias",
        "cls.predictions.decoder.weight",
        "cls.predictions.transform.LayerNorm.gamma",
        "cls.seq_relationship.weight",
        "vocab_layer_norm.weight",
        "vocab_projector.bias",
        "vocab_transform.weight",
    ]
    again = convert({**model.weights, **dict.fromkeys(left, some)}, model.architecture)
    assert again.SerializeToString() == model.content
