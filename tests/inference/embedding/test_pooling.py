"""Token vectors to one: on one window sentence-transformers' formulas, on several their mean."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.examples import examples
from worker.inference.embedding.pooling import Floats, VectorError, combine, pool, shortest_floats
from worker.models.manifest import Pooling

MEAN, CLS = Pooling(mode="mean"), Pooling(mode="cls")
NORMAL = Pooling(mode="mean", normalize=True)

NUMBERS = st.floats(-1e3, 1e3, width=32)
VECTORS = st.tuples(st.integers(1, 40), st.integers(1, 8)).flatmap(
    lambda shape: arrays.arrays(np.float32, shape, elements=NUMBERS)
)
ANY_FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(VECTORS)
def test_the_mean_is_that_of_every_token_special_ones_included(vectors: Floats) -> None:
    # Hugging Face's recipe, with a mask of ones: sum(vectors * mask) / sum(mask).
    naive = [math.fsum(column) / len(vectors) for column in vectors.T.tolist()]
    np.testing.assert_allclose(pool(vectors, MEAN), naive, rtol=1e-12, atol=1e-12)


@given(VECTORS)
def test_cls_is_the_first_vector_as_it_is(vectors: Floats) -> None:
    assert pool(vectors, CLS).tolist() == vectors[0].tolist()


@given(VECTORS)
def test_pooling_leaves_the_vectors_as_they_are(vectors: Floats) -> None:
    before = vectors.copy()
    combine([pool(vectors, NORMAL)], [1], NORMAL)
    assert vectors.tobytes() == before.tobytes()


@given(VECTORS)
def test_one_window_is_its_own_mean(vectors: Floats) -> None:
    pooled = pool(vectors, MEAN)
    assert combine([pooled], [3], MEAN).tolist() == pooled.astype(np.float32).tolist()


@given(VECTORS, st.data())
@settings(deadline=None)
def test_windows_weigh_as_many_tokens_as_they_hold(vectors: Floats, data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.integers(1, 500), min_size=len(vectors), max_size=len(vectors)))
    pooled = list(vectors.astype(np.float64))
    # As if each token had its window's vector.
    repeated = np.repeat(vectors.astype(np.float64), tokens, axis=0)
    combined = combine(pooled, tokens, MEAN)
    np.testing.assert_allclose(combined, repeated.mean(axis=0), rtol=1e-5, atol=1e-4)


@given(VECTORS)
def test_a_normalised_vector_has_length_1_and_the_same_direction(vectors: Floats) -> None:
    plain = combine([pool(vectors, MEAN)], [1], MEAN).astype(np.float64)
    length = np.linalg.norm(plain)
    assume(length > 1e-3)
    normal = combine([pool(vectors, NORMAL)], [1], NORMAL)
    assert np.linalg.norm(normal.astype(np.float64)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(normal * length, plain, rtol=1e-5, atol=1e-4)


def test_long_texts_are_normalised_once_at_the_end() -> None:
    pooled = [np.array([9.0, 0.0]), np.array([0.0, 1.0])]
    # Windows normalised on their own would be equally strong.
    assert combine(pooled, [1, 1], NORMAL).tolist() == pytest.approx([0.9938837, 0.1104315])


def test_zeros_stay_zeros_when_normalised() -> None:
    assert combine([np.zeros(3)], [1], NORMAL).tolist() == [0, 0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_vectors_that_are_not_finite_are_refused(bad: float, place: int) -> None:
    vectors = np.ones((3, 2), np.float32)
    vectors[0, 1] = bad
    pooled = [np.ones(2), np.ones(2)]
    pooled[place] = pool(vectors, MEAN)
    with pytest.raises(VectorError, match="not finite"):
        combine(pooled, [1, 1], MEAN)


def test_infinities_that_meet_are_refused_too() -> None:
    vectors = np.array([[math.inf], [-math.inf]], np.float32)
    with pytest.raises(VectorError, match="not finite"):
        combine([pool(vectors, MEAN)], [1], MEAN)


@given(arrays.arrays(np.float32, st.integers(1, 30), elements=ANY_FLOAT32))
@examples(150)
def test_numbers_read_back_from_json_are_the_same_float32(vector: Floats) -> None:
    back = np.array(json.loads(json.dumps(shortest_floats(vector))), dtype=np.float32)
    assert back.tobytes() == vector.tobytes()


@given(
    arrays.arrays(
        np.float32,
        20,
        elements=st.floats(2**-30, 2**20, width=32) | st.floats(-(2**20), -(2**-30), width=32),
    )
)
@example(np.array([0.000976565, 9.31409e-10, 9.53692e-07], np.float32))
@examples(150)
def test_numbers_have_no_digit_too_many(vector: Floats) -> None:
    assert shortest_floats(vector) == [float(str(number)) for number in vector]
