"""Collects the nodes and weights of an ONNX graph.

A node, its output and its weights are named after their part of the model (`layer.3.ffn.up`,
`layer.3.ffn.up.weight`), because quantizing tools select nodes by name. `encoder` decides what the
nodes compute.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
"""The first opset with GELU as one operator; LayerNormalization is older."""
_IR_VERSION = 9
"""The file format of opset 20; older runtimes refuse newer ones."""


class Graph:
    """Nodes in the order of computation, and their weights. Equal calls give equal bytes."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []

    def node(self, name: str, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; the output has the node's name, which is returned."""
        return self.nodes(name, kind, inputs, [name], **attributes)[0]

    def nodes(
        self, name: str, kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """Add a node with several outputs, which are returned."""
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def tensor(self, name: str, values: NDArray[Any] | np.generic) -> str:
        """Add an initializer; its name is returned."""
        contiguous = np.ascontiguousarray(values).reshape(values.shape)
        self._tensors.append(numpy_helper.from_array(contiguous, name))
        return name

    def integers(self, name: str, *values: int) -> str:
        """Add an initializer of int64, (len(values),)."""
        return self.tensor(name, np.array(values, np.int64))

    def model(
        self,
        name: str,
        inputs: Sequence[str],
        outputs: Mapping[str, Sequence[str | int]],
        *,
        version: str,
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The model. Inputs are int64 (batch, sequence), outputs float32 of the given shapes."""
        values = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in inputs
        ]
        results = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ]
        model = helper.make_model(
            helper.make_graph(self._nodes, name, values, results, self._tensors),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="qa-worker",
            producer_version=version,
        )
        helper.set_model_props(model, dict(metadata))
        return model
