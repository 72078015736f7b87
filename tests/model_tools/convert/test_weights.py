"""Tensors out of a safetensors file, whatever floats they were saved as."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import DTypeLike
from safetensors.numpy import save_file

from worker.model_tools.convert.weights import SafetensorsFile
from worker.models.bundle import BundleError

# In bfloat16 exact, and so in all: 1 + 1/128 needs its last bit, 2**-100 its exponent.
VALUES = np.array([[0.0, -1.0, 1 + 1 / 128], [3.140625, -(2.0**14), 2.0**-14]], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_float_type_is_read_exactly(path: Path, dtype: DTypeLike) -> None:
    save_file({"a": VALUES.astype(dtype)}, path)
    with SafetensorsFile(path) as weights:
        tensor = weights["a"]
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, VALUES)


def test_bfloat16_is_the_upper_half_of_float32(path: Path) -> None:
    # Written by hand: no library's idea of the format stands on both sides.
    bits = np.array([0x3F80, 0xC049, 0x7F7F, 0x0001], "<u2")
    header = json.dumps({"a": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bits.tobytes())
    with SafetensorsFile(path) as weights:
        tensor = weights["a"]
    np.testing.assert_array_equal(tensor.view(np.uint32), bits.astype(np.uint32) << 16, strict=True)


def test_names_are_sorted(path: Path) -> None:
    save_file(dict.fromkeys(("b", "c", "a"), VALUES), path)
    with SafetensorsFile(path) as weights:
        assert list(weights) == ["a", "b", "c"]
        assert len(weights) == 3


def test_unknown_name_raises_key_error(path: Path) -> None:
    save_file({"a": VALUES}, path)
    with SafetensorsFile(path) as weights:
        assert "b" not in weights
        with pytest.raises(KeyError):
            weights["b"]


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.int8, "I8"), (np.int64, "I64"), (np.float64, "F64")]
)
def test_other_types_are_refused_on_access(path: Path, dtype: DTypeLike, name: str) -> None:
    save_file({"used": VALUES, "other": VALUES.astype(dtype)}, path)
    with SafetensorsFile(path) as weights:
        np.testing.assert_array_equal(weights["used"], VALUES)
        with pytest.raises(BundleError) as caught:
            weights["other"]
    assert str(caught.value) == f"{path}: other is {name}; only F32, F16, BF16 are converted"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\xff" * 64])
def test_other_file_formats_are_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.safetensors: not a safetensors file: "):
        SafetensorsFile(path)


def test_truncated_file_is_refused(path: Path) -> None:
    save_file({"a": VALUES}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match="not a safetensors file"):
        SafetensorsFile(path)
