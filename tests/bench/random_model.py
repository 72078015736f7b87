"""A bundle of DistilBERT's architecture with random weights: for speed and memory, not for answers.

`python -m tests.bench.random_model DIR` writes one of DistilBERT-base's size, int8, per channel.
Needs the extra `bench` (onnx).
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from worker.reading.bundle import DEFAULT_BUNDLE

LAYERS, WIDTH, HEADS, HIDDEN, POSITIONS, VOCABULARY = 6, 768, 12, 3072, 512, 30_522


class _Graph:
    """Nodes and weights, named as they come."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: object, dtype: type = np.int64) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def random(self, *shape: int) -> str:
        return self.constant(self._random.normal(0, 0.02, shape), np.float32)

    def linear(self, x: str, rows: int, columns: int) -> str:
        return self.add(
            "Add", self.add("MatMul", x, self.random(rows, columns)), self.random(columns)
        )

    def norm(self, x: str) -> str:
        scale, bias = self.constant(np.ones(WIDTH), np.float32), self.random(WIDTH)
        return self.add("LayerNormalization", x, scale, bias, epsilon=1e-12)

    def gelu(self, x: str) -> str:
        erf = self.add("Erf", self.add("Div", x, self.constant(2**0.5, np.float32)))
        half = self.add("Mul", x, self.constant(0.5, np.float32))
        return self.add("Mul", half, self.add("Add", erf, self.constant(1.0, np.float32)))

    def heads(self, x: str, order: Sequence[int]) -> str:
        shape = self.constant([0, 0, HEADS, WIDTH // HEADS])
        return self.add("Transpose", self.add("Reshape", x, shape), perm=list(order))


def write_bundle(directory: Path) -> None:
    """A whole bundle: int8 model, configuration, the default model's tokenizer."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch, "model.onnx")
        onnx.save(_model(), plain)
        quantize_dynamic(
            plain, directory / "model.onnx", per_channel=True, weight_type=QuantType.QInt8
        )
    config = {"model_type": "distilbert", "max_position_embeddings": POSITIONS, "pad_token_id": 0}
    (directory / "config.json").write_text(json.dumps(config))
    shutil.copy(DEFAULT_BUNDLE / "tokenizer.json", directory / "tokenizer.json")


def _model() -> onnx.ModelProto:
    g = _Graph()
    length = g.add("Gather", g.add("Shape", "input_ids"), g.constant(1))
    positions = g.add("Range", g.constant(0), length, g.constant(1))
    words = g.add("Gather", g.random(VOCABULARY, WIDTH), "input_ids")
    x = g.norm(g.add("Add", words, g.add("Gather", g.random(POSITIONS, WIDTH), positions)))
    seen = g.add("Unsqueeze", "attention_mask", g.constant([1, 2]))
    hidden = g.add("Equal", seen, g.constant(0))
    for _ in range(LAYERS):
        q = g.heads(g.linear(x, WIDTH, WIDTH), (0, 2, 1, 3))
        k = g.heads(g.linear(x, WIDTH, WIDTH), (0, 2, 3, 1))
        v = g.heads(g.linear(x, WIDTH, WIDTH), (0, 2, 1, 3))
        scale = g.constant((WIDTH / HEADS) ** 0.5, np.float32)
        scores = g.add("MatMul", g.add("Div", q, scale), k)
        masked = g.add("Where", hidden, g.constant(-3.4e38, np.float32), scores)
        mixed = g.add("MatMul", g.add("Softmax", masked, axis=-1), v)
        joined = g.add(
            "Reshape", g.add("Transpose", mixed, perm=[0, 2, 1, 3]), g.constant([0, 0, WIDTH])
        )
        x = g.norm(g.add("Add", x, g.linear(joined, WIDTH, WIDTH)))
        inner = g.gelu(g.linear(x, WIDTH, HIDDEN))
        x = g.norm(g.add("Add", x, g.linear(inner, HIDDEN, WIDTH)))
    both = g.linear(x, WIDTH, 2)
    for name, index in (("start_logits", 0), ("end_logits", 1)):
        picked = g.add("Gather", both, g.constant(index), axis=-1)
        g.nodes.append(helper.make_node("Identity", [picked], [name]))
    shape = ["batch", "sequence"]
    graph = helper.make_graph(
        g.nodes,
        "distilbert",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in ("start_logits", "end_logits")
        ],
        g.weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    write_bundle(Path(sys.argv[1]))
