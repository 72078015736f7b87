"""ONNX graphs of a few hundred bytes, written by hand: a model whose logits a test decides.

ONNX is protobuf, and of that little is needed: fields of varints and of bytes. Field numbers are
those of onnx.proto (IR version 8).
"""

from collections.abc import Sequence

import numpy as np

FLOAT, INT64, FLOAT16 = 1, 7, 10

_OUTPUTS = ("start_logits", "end_logits")


def table_model(
    starts: Sequence[float] | np.ndarray,
    ends: Sequence[float] | np.ndarray,
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    outputs: tuple[str, str] = _OUTPUTS,
    dtype: type[np.floating] = np.float32,
) -> bytes:
    """A model whose logits are looked up by token id. An id past the table makes it raise."""
    tables = {"starts": np.array(starts, dtype), "ends": np.array(ends, dtype)}
    element = FLOAT16 if dtype is np.float16 else FLOAT
    nodes = [
        _text(1, table) + _text(1, inputs[0]) + _text(2, output) + _text(4, "Gather")
        for table, output in zip(tables, outputs, strict=True)
    ]
    tensors = [_tensor(name, table, element) for name, table in tables.items()]
    rank = 1 + tables["starts"].ndim
    return _model(nodes, tensors, inputs, [_value(name, element, rank) for name in outputs])


def vector_model(table: np.ndarray, *, inputs: Sequence[str] = ("input_ids",)) -> bytes:
    """A model whose token vectors are the rows of `table`, looked up by token id. An id past the
    table makes it raise.
    """
    output = "last_hidden_state"
    node = _text(1, "table") + _text(1, inputs[0]) + _text(2, output) + _text(4, "Gather")
    tensors = [_tensor("table", table.astype(np.float32), FLOAT)]
    return _model([node], tensors, inputs, [_value(output, FLOAT, 1 + table.ndim)])


def summing_model(first: str, second: str, *, inputs: Sequence[str]) -> bytes:
    """A model whose start logits are sums over `first` from a token to the end of its row, padding
    included, and whose end logits are those of `second`: they show what was fed.
    """
    axis = _tensor("axis", np.array(1, np.int64), INT64)
    reverse = _text(1, "reverse") + _number(3, 1) + _number(20, 2)
    to_float = _text(1, "to") + _number(3, FLOAT) + _number(20, 2)
    nodes = []
    for name, output in ((first, "start_logits"), (second, "end_logits")):
        ends = _text(1, name) + _text(1, "axis") + _text(2, f"{output}_sums")
        nodes.append(ends + _text(4, "CumSum") + _bytes(5, reverse))
        ends = _text(1, f"{output}_sums") + _text(2, output)
        nodes.append(ends + _text(4, "Cast") + _bytes(5, to_float))
    return _model(nodes, [axis], inputs, [_value(name, FLOAT, 2) for name in _OUTPUTS])


def _model(
    nodes: Sequence[bytes],
    tensors: Sequence[bytes],
    inputs: Sequence[str],
    outputs: Sequence[bytes],
) -> bytes:
    graph = b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _text(2, "graph"),
            *(_bytes(5, tensor) for tensor in tensors),
            *(_bytes(11, _value(name, INT64, 2)) for name in inputs),
            *(_bytes(12, output) for output in outputs),
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
