"""What converted graphs compute."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model_tools.forward import forward
from tests.model_tools.tiny_models import Inputs, Model


def with_lengths(*lengths: int) -> Inputs:
    """Random windows of these lengths, padded on the right."""
    random = np.random.default_rng(len(lengths))
    shape = (len(lengths), max(lengths))
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    return {
        "input_ids": random.integers(1, 30, shape) * mask,
        "token_type_ids": random.integers(0, 2, shape) * mask,
        "attention_mask": mask,
    }


@st.composite
def batches(draw: st.DrawFn) -> Inputs:
    """Anything of the right type: also masks with holes, and rows that are all padding."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 16)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return {
        "input_ids": random.integers(0, 30, shape),
        "token_type_ids": random.integers(0, 2, shape),
        "attention_mask": (random.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))).astype(
            np.int64
        ),
    }


@given(inputs=batches())
def test_graph_equals_the_reference_computation(model: Model, inputs: Inputs) -> None:
    outputs = model.run(inputs)
    expected = forward(model.config, model.weights, inputs)
    assert len(outputs) == len(expected)
    for ours, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_outputs_have_the_documented_shape(model: Model) -> None:
    outputs = model.run(with_lengths(5, 9))
    has_head = model.has_head
    assert [entry.name for entry in model.session.get_outputs()] == (
        ["start_logits", "end_logits"] if has_head else ["last_hidden_state"]
    )
    for output, entry in zip(outputs, model.session.get_outputs(), strict=True):
        assert output.dtype == np.float32
        assert output.shape == ((2, 9) if has_head else (2, 9, 12))
        assert entry.shape == ["batch", "sequence", 12][: output.ndim]


def test_only_bert_has_token_types(model: Model) -> None:
    names = ["input_ids", "attention_mask"]
    if model.config["model_type"] == "bert":
        names.append("token_type_ids")
    inputs = {entry.name: (entry.type, entry.shape) for entry in model.session.get_inputs()}
    assert inputs == dict.fromkeys(names, ("tensor(int64)", ["batch", "sequence"]))


def test_window_in_a_batch_is_bit_equal(model: Model) -> None:
    lengths = (4, 16, 1, 9, 9, 15)
    together = with_lengths(*lengths)
    for row, length in enumerate(lengths):
        alone = {name: array[row : row + 1, :length] for name, array in together.items()}
        for one, many in zip(model.run(alone), model.run(together), strict=True):
            np.testing.assert_array_equal(one[0], many[row, :length])


def test_padding_tokens_do_not_affect_outputs(model: Model) -> None:
    inputs = with_lengths(4, 12)
    other = {**inputs, "input_ids": inputs["input_ids"] + 7 * (1 - inputs["attention_mask"])}
    assert (other["input_ids"] != inputs["input_ids"]).any()
    for one, two in zip(model.run(inputs), model.run(other), strict=True):
        np.testing.assert_array_equal(one[0, :4], two[0, :4])


def test_more_tokens_than_positions_fail(model: Model) -> None:
    with pytest.raises(Exception, match=r"embeddings\.sum"):
        model.run(with_lengths(17))
