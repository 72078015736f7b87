"""Products and tables in int8, held against the formulas written down once more, in numpy."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.model_tools.linear_graphs import (
    Axes,
    Floats,
    graph,
    node,
    opened,
    outputs_of,
    quantized,
    random_floats,
)
from worker.model_tools.quantize.layers import MIN_ROWS
from worker.model_tools.quantize.per_token import quantize_per_token

INPUTS, OUTPUTS = 20, 24
WEIGHT = random_floats(INPUTS, OUTPUTS, seed=1)
PLAIN = graph([node("MatMul", "x w", "y")], {"w": WEIGHT}, ["tokens", INPUTS])
BEHIND_A_GELU = graph(
    [node("Gelu", "x", "bent"), node("MatMul", "bent w", "y")],
    {"w": WEIGHT},
    ["tokens", INPUTS],
    outputs={"y": 2, "bent": 2},
)

Doubles = NDArray[np.float64]


def in_steps(x: Floats, *, gelu: bool = False) -> tuple[NDArray[np.int64], Doubles]:
    """The rows (tokens, inputs) in whole steps from zero, and the steps (tokens, 1)."""
    if gelu:
        zero, steps = 16, np.maximum(x.max(axis=1) / 239, 0.17 / 16)
    else:
        zero, steps = 128, np.maximum(np.abs(x).max(axis=1) / 127, 1e-37)
    steps = steps.astype(np.float64)[:, None]
    uint8 = np.clip(np.rint(x / steps) + zero, 0, 255)
    return (uint8 - zero).astype(np.int64), steps


def by_the_formula(x: Floats, weight: Floats, *, gelu: bool = False) -> Doubles:
    """What comes of values with any axes in front of their last one."""
    rows, steps = in_steps(x.reshape(-1, x.shape[-1]), gelu=gelu)
    columns = np.abs(weight).max(axis=0).astype(np.float64) / 127
    products = rows @ np.rint(weight / columns).astype(np.int64)
    result: Doubles = products * columns * steps
    return result.reshape(*x.shape[:-1], -1)


def assert_as_the_formula_says(
    found: Floats, x: Floats, weight: Floats, *, gelu: bool = False
) -> None:
    expected = by_the_formula(x, weight, gelu=gelu)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # And not because there is nothing to see: the product in float32 is another one.
    assert np.abs(found - x @ weight).max() > 1e-3


@pytest.mark.parametrize("axes", [("n",), (None,), (7,), ("n", "m"), (None, None), (2, "m", None)])
def test_layer_equals_the_formula(axes: Sequence[str | int | None]) -> None:
    model = graph([node("MatMul", "x w", "y")], {"w": WEIGHT}, [*axes, INPUTS])
    x = random_floats(*{1: (7,), 2: (3, 5), 3: (2, 3, 4)}[len(axes)], INPUTS)
    (found,) = outputs_of(quantized(model), x)
    assert_as_the_formula_says(found, x, WEIGHT)


def test_layer_with_unnamed_axes_keeps_its_shape() -> None:
    model = graph([node("MatMul", "x w", "y")], {"w": WEIGHT}, [INPUTS])
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    model.graph.input[0].type.tensor_type.ClearField("shape")
    model.graph.output[0].type.tensor_type.ClearField("shape")
    session = opened(quantize_per_token(model).SerializeToString())
    for shape in ((INPUTS,), (1, INPUTS), (2, 3, INPUTS), (2, 1, 3, 2, INPUTS)):
        x = random_floats(*shape)
        (found,) = outputs_of(session, x)
        assert_as_the_formula_says(found, x, WEIGHT)


@pytest.mark.parametrize("axes", [["n", INPUTS], ["n", "m", INPUTS], [None, None, None, INPUTS]])
def test_gelu_outputs_use_a_low_zero_point(axes: Axes) -> None:
    nodes = [node("Gelu", "x", "bent"), node("MatMul", "bent w", "y")]
    rank = len(axes)
    model = graph(nodes, {"w": WEIGHT}, axes, outputs={"y": rank, "bent": rank})
    x = random_floats(*{2: (7,), 3: (3, 5), 4: (2, 3, 4)}[rank], INPUTS) * 2
    found, bent = outputs_of(quantized(model), x)
    assert_as_the_formula_says(found, bent, WEIGHT, gelu=True)
    assert np.abs(found - by_the_formula(bent, WEIGHT)).max() > 1e-3


def test_layers_with_shared_activations_equal_the_formula() -> None:
    other = random_floats(INPUTS, 16, seed=2)
    nodes = [
        node("Identity", "x", "values"),
        node("MatMul", "values a", "first"),
        node("MatMul", "values b", "second"),
        node("Tanh", "values", "bent"),
        node("MatMul", "bent a2", "third"),
    ]
    tensors = {"a": WEIGHT, "b": other, "a2": -WEIGHT}
    outputs = {"first": 3, "second": 3, "third": 3, "bent": 3}
    session = quantized(graph(nodes, tensors, ["n", "m", INPUTS], outputs=outputs))
    x = random_floats(2, 5, INPUTS)
    first, second, third, bent = outputs_of(session, x)
    assert_as_the_formula_says(first, x, WEIGHT)
    assert_as_the_formula_says(second, x, other)
    assert_as_the_formula_says(third, bent, -WEIGHT)


@pytest.mark.parametrize("axes", [("n", "m"), (None, None), ("n", None), (2, 5)])
def test_transposed_axes_are_kept(axes: Axes) -> None:
    nodes = [
        node("Identity", "x", "values"),
        node("MatMul", "values w", "straight"),
        node("Transpose", "values", "turned", perm=[1, 0, 2]),
        node("MatMul", "turned same", "across"),
    ]
    tensors = {"w": WEIGHT, "same": WEIGHT}
    outputs = {"straight": 3, "across": 3}
    session = quantized(graph(nodes, tensors, [*axes, INPUTS], outputs=outputs))
    x = random_floats(2, 5, INPUTS)
    straight, across = outputs_of(session, x)
    assert across.shape == (5, 2, OUTPUTS)
    np.testing.assert_array_equal(across.transpose(1, 0, 2), straight)


def test_zero_and_denormal_columns_are_quantized() -> None:
    weight = WEIGHT.copy()
    weight[:, 3] = 0
    weight[:, 5] = np.float32(1e-45)
    session = quantized(graph([node("MatMul", "x w", "y")], {"w": weight}, ["n", INPUTS]))
    x = random_floats(4, INPUTS)
    (found,) = outputs_of(session, x)
    assert (found[:, 3] == 0).all()
    assert np.abs(found[:, 5]).max() < 1e-36
    kept = np.delete(np.arange(OUTPUTS), [3, 5])
    assert_as_the_formula_says(found[:, kept], x, weight[:, kept])


# Rows leave each other alone.

SESSIONS = {"plain": quantized(PLAIN), "gelu": quantized(BEHIND_A_GELU)}
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
TAME = st.floats(-1000, 1000, width=32)


def rows_of(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Floats]:
    """Ordinary ones, and any: zeros, the smallest there are, and the largest."""
    row = st.one_of(
        st.lists(numbers, min_size=INPUTS, max_size=INPUTS),
        st.integers(0, 2**32).map(lambda seed: random_floats(INPUTS, seed=seed).tolist()),
        st.builds(lambda number: [number] * INPUTS, numbers),
    )
    return st.lists(row, min_size=1, max_size=9).map(lambda rows: np.array(rows, np.float32))


@pytest.mark.long
@pytest.mark.parametrize("kind", SESSIONS)
@given(x=rows_of(NUMBERS), other=rows_of(NUMBERS), data=st.data())
def test_row_is_bit_equal_in_any_batch(
    kind: str, x: Floats, other: Floats, data: st.DataObject
) -> None:
    session = SESSIONS[kind]
    row = data.draw(st.integers(0, len(x) - 1))
    alone = outputs_of(session, x[[row]])[0][0]
    assert outputs_of(session, x)[0][row].tobytes() == alone.tobytes()
    beside = np.concatenate([other, x[[row]], other])
    assert outputs_of(session, beside)[0][len(other)].tobytes() == alone.tobytes()


@pytest.mark.long
@given(x=rows_of(TAME))
def test_error_is_bounded_by_the_step(x: Floats) -> None:
    (found,) = outputs_of(SESSIONS["plain"], x)
    steps = np.maximum(np.abs(x).max(axis=1, keepdims=True) / 127, np.finfo(np.float32).tiny)
    assert_within(found, x, steps)


@pytest.mark.long
@given(x=rows_of(TAME))
def test_error_after_gelu_is_bounded_by_the_finer_step(x: Floats) -> None:
    found, bent = outputs_of(SESSIONS["gelu"], x)
    assert_within(found, bent, np.maximum(bent.max(axis=1, keepdims=True) / 239, 0.17 / 16))


def assert_within(found: Floats, x: Floats, steps: Floats) -> None:
    """Each factor is off by half of its step; a little more is float32's."""
    wide, columns = WEIGHT.astype(np.float64), np.abs(WEIGHT).max(axis=0) / 127
    by_weights = np.abs(x).sum(axis=1, keepdims=True) * columns / 2
    by_values = steps / 2 * (np.abs(wide) + columns / 2).sum(axis=0)
    allowed = (by_weights + by_values) * 1.0001 + 1e-30
    assert (np.abs(found - x @ wide) <= allowed).all()


@pytest.mark.parametrize("kind", SESSIONS)
def test_row_of_zeros_gives_zeros(kind: str) -> None:
    x = random_floats(3, INPUTS)
    x[1] = 0
    (found, *_) = outputs_of(SESSIONS[kind], x)
    assert (found[1] == 0).all()
    assert (found[[0, 2]] != 0).all()
    assert (outputs_of(SESSIONS[kind], np.zeros((2, INPUTS), np.float32))[0] == 0).all()


# Tables.


def test_lookup_error_is_at_most_half_a_step() -> None:
    words = (
        random_floats(MIN_ROWS, 12) * np.geomspace(1e-3, 1e3, MIN_ROWS, dtype=np.float32)[:, None]
    )
    words[5] = 0
    nodes = [node("Gather", "words ids", "y")]
    model = graph(nodes, {"words": words}, ["n", "m"], outputs={"y": 3}, takes="ids")
    session = quantized(model)
    ids = np.arange(MIN_ROWS).reshape(2, -1)
    (found,) = outputs_of(session, ids)
    assert found.shape == (2, MIN_ROWS // 2, 12)
    steps = np.abs(words).max(axis=1, keepdims=True) / 127
    errors = np.abs(found.reshape(words.shape) - words)
    assert (errors <= steps / 2 * 1.0001).all()
    assert errors.any()
    assert (found.reshape(words.shape)[5] == 0).all()
    # From the end, as Gather has it.
    np.testing.assert_array_equal(outputs_of(session, ids - MIN_ROWS)[0], found)
