"""Tiny models of both families, with the head for question answering and without."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from tests.model_tools.random_weights import (
    TINY_BERT,
    TINY_DISTILBERT,
    Config,
    random_weights,
)
from worker.model_tools.convert.architecture import read_architecture
from worker.model_tools.convert.convert import convert

Inputs = Mapping[str, NDArray[np.int64]]
"""input_ids, token_type_ids and attention_mask, (batch, sequence) each."""

# Large enough that attention prefers some tokens and GELU bends.
_SCALE = 0.3


class Model:
    """Weights, their graph, and the graph opened."""

    def __init__(self, config: Config, *, head: bool) -> None:
        self.config = config
        self.has_head = head
        self.weights = random_weights(config, head=head, scale=_SCALE)
        self.architecture = read_architecture(config)
        self.proto = convert(self.weights, self.architecture)
        self.content = self.proto.SerializeToString()
        self.session = ort.InferenceSession(self.content, providers=["CPUExecutionProvider"])

    def __repr__(self) -> str:
        return f"Model({self.config['model_type']}, {self.has_head=})"

    @property
    def prefix(self) -> str:
        """That of the encoder's names in models saved with a head."""
        return f"{self.config['model_type']}."

    def run(self, inputs: Inputs) -> list[NDArray[np.float32]]:
        """The outputs for those of the inputs that the graph takes."""
        names = [entry.name for entry in self.session.get_inputs()]
        outputs: list[NDArray[np.float32]] = self.session.run(
            None, {name: inputs[name] for name in names}
        )
        return outputs


@cache
def tiny_model(family: str, *, head: bool) -> Model:
    """A model of a few kilobytes; read-only."""
    return Model(TINY_BERT if family == "bert" else TINY_DISTILBERT, head=head)
