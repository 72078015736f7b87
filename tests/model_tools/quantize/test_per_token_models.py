"""Converted models of both families in int8: close to what they were, and alone in a batch."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model_tools.int8_models import POSITIONS, VOCABULARY, WIDTH, wide_model
from tests.model_tools.linear_graphs import opened
from tests.model_tools.tiny_models import Inputs, Model
from worker.model_tools.quantize.per_token import quantize_per_token


class Int8:
    """A model beside what became of it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.proto = quantize_per_token(onnx.ModelProto.FromString(model.content))
        self.content = self.proto.SerializeToString()
        self.session: ort.InferenceSession = opened(self.content)

    def run(self, inputs: Inputs) -> list[NDArray[np.float32]]:
        names = [entry.name for entry in self.session.get_inputs()]
        outputs: list[NDArray[np.float32]] = self.session.run(
            None, {name: inputs[name] for name in names}
        )
        return outputs


@pytest.fixture(
    scope="module",
    params=[("distilbert", True), ("distilbert", False), ("bert", True), ("bert", False)],
    ids=["distilbert-head", "distilbert-encoder", "bert-head", "bert-encoder"],
)
def int8(request: pytest.FixtureRequest) -> Int8:
    family, head = request.param
    return Int8(wide_model(family, head=head))


def with_lengths(*lengths: int) -> Inputs:
    """Random windows of these lengths, padded on the right."""
    random = np.random.default_rng(sum(lengths))
    shape = (len(lengths), max(lengths))
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    return {
        "input_ids": random.integers(1, VOCABULARY, shape) * mask,
        "token_type_ids": random.integers(0, 2, shape) * mask,
        "attention_mask": mask,
    }


def tensors(content: bytes) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in onnx.ModelProto.FromString(content).graph.initializer}


def test_graph_is_valid(int8: Int8) -> None:
    onnx.checker.check_model(int8.proto, full_check=True)


def test_inputs_and_outputs_are_unchanged(int8: Int8) -> None:
    before, after = int8.model.proto, int8.proto
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)
    assert list(after.metadata_props) == list(before.metadata_props)
    for ours, theirs in zip(
        int8.run(with_lengths(3, 9)), int8.model.run(with_lengths(3, 9)), strict=True
    ):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


def test_rewriting_is_deterministic(int8: Int8) -> None:
    assert Int8(int8.model).content == int8.content


def test_all_layers_and_word_embeddings_are_int8(int8: Int8) -> None:
    kinds = [node.op_type for node in int8.proto.graph.node]
    # Six a layer; the products of attention and the two logits are left in float32.
    assert kinds.count("MatMulIntegerToFloat") == 12
    assert kinds.count("MatMul") == 4 + int8.model.has_head
    # One for the three products of attention, which have the same values: four a layer.
    assert kinds.count("QuantizeLinear") == 8
    integers = {
        name: tuple(tensor.dims)
        for name, tensor in tensors(int8.content).items()
        if tensor.data_type == onnx.TensorProto.INT8
    }
    assert len(integers) == 12 + 1
    assert integers["embeddings.words.int8"] == (VOCABULARY, WIDTH)
    assert integers["layer.0.ffn.up.weight.int8"] == (WIDTH, 40)


def test_only_quantized_weights_are_replaced(int8: Int8) -> None:
    before, after = tensors(int8.model.content), tensors(int8.content)
    gone = before.keys() - after.keys()
    parts = ("query", "key", "value", "output")
    places = [f"attention.{part}" for part in parts] + ["ffn.up", "ffn.down"]
    assert gone == {"embeddings.words"} | {
        f"layer.{layer}.{place}.weight" for layer in (0, 1) for place in places
    }
    for name in before.keys() & after.keys():
        assert after[name] == before[name]
    assert len(int8.content) < len(int8.model.content) / 2


def test_outputs_are_close_to_float32(int8: Int8) -> None:
    inputs = with_lengths(POSITIONS, 20, 7, 1)
    for ours, theirs in zip(int8.run(inputs), int8.model.run(inputs), strict=True):
        one, other = ours[inputs["attention_mask"] == 1], theirs[inputs["attention_mask"] == 1]
        assert 0 < np.abs(one - other).mean() < 0.06 * other.std()
        assert np.abs(one - other).max() < 0.2 * other.std()


@given(lengths=st.lists(st.integers(1, POSITIONS), min_size=2, max_size=6))
def test_window_is_bit_equal_alone_and_in_a_batch(int8: Int8, lengths: list[int]) -> None:
    batch = with_lengths(*lengths)
    together = int8.run(batch)
    for row, length in enumerate(lengths):
        window = {name: values[[row], :length] for name, values in batch.items()}
        for one, of_all in zip(int8.run(window), together, strict=True):
            assert one[0].tobytes() == of_all[row, :length].tobytes()
