"""ONNX graphs of a few hundred bytes, written by hand: a model whose logits a test decides.

ONNX is protobuf, and of that little is needed: fields of varints and of bytes. Field numbers are
those of onnx.proto (IR version 8).
"""

from collections.abc import Sequence

import numpy as np

FLOAT, INT64, FLOAT16 = 1, 7, 10


def table_model(
    starts: Sequence[float] | np.ndarray,
    ends: Sequence[float] | np.ndarray,
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    outputs: tuple[str, str] = ("start_logits", "end_logits"),
    dtype: type[np.floating] = np.float32,
) -> bytes:
    """A model whose logits are looked up by token id. An id past the table makes it raise."""
    tables = {"starts": np.array(starts, dtype), "ends": np.array(ends, dtype)}
    element = FLOAT16 if dtype is np.float16 else FLOAT
    nodes = [
        _text(1, table) + _text(1, inputs[0]) + _text(2, output) + _text(4, "Gather")
        for table, output in zip(tables, outputs, strict=True)
    ]
    graph = b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _text(2, "tables"),
            *(_bytes(5, _tensor(name, table, element)) for name, table in tables.items()),
            *(_bytes(11, _value(name, INT64, 2)) for name in inputs),
            *(_bytes(12, _value(name, element, 1 + tables["starts"].ndim)) for name in outputs),
        ]
    )
    opset = _text(1, "") + _number(2, 13)
    return _number(1, 8) + _bytes(8, opset) + _bytes(7, graph)


def _tensor(name: str, values: np.ndarray, element: int) -> bytes:
    dimensions = b"".join(_number(1, size) for size in values.shape)
    return dimensions + _number(2, element) + _text(8, name) + _bytes(9, values.tobytes())


def _value(name: str, element: int, rank: int) -> bytes:
    shape = b"".join(_bytes(1, _text(2, f"axis{axis}")) for axis in range(rank))
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, element) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
