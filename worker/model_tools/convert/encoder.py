"""The nodes of a BERT-family model: the encoder, and the head for question answering.

The encoder is that of "BERT: Pre-training of Deep Bidirectional Transformers" (Devlin et al.,
2018) over the attention of "Attention Is All You Need" (Vaswani et al., 2017), section 3.2;
DistilBERT's is the same without token types. The weights are in the graph already.
Each linear layer is a MatMul by an initializer and an Add, which quantizing tools look for. GELU
and layer norms are single operators, so that no fusion is needed.
"""

from dataclasses import dataclass

import numpy as np

from worker.model_tools.convert.architecture import Architecture
from worker.model_tools.convert.graph import Graph

_LOWEST = np.finfo(np.float32).min
"""Not minus infinity: for a row of padding only, the softmax would be 0 / 0."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Adds nodes to a graph in the order of computation. Values are (batch, sequence, width)."""

    graph: Graph
    architecture: Architecture

    def encode(self) -> str:
        """From the graph's inputs to the last hidden state."""
        sizes = self.architecture
        # 0 in a Reshape keeps the dimension: here batch and sequence.
        self.graph.integers("shape.heads", 0, 0, sizes.heads, sizes.head_size)
        self.graph.integers("shape.joined", 0, 0, sizes.width)
        hidden = self._embed()
        bias = self._attention_bias()
        for layer in range(sizes.layers):
            hidden = self._attend(f"layer.{layer}.attention", hidden, bias)
            hidden = self._feed_forward(f"layer.{layer}.ffn", hidden)
        return hidden

    def logits(self, hidden: str) -> None:
        """`start_logits` and `end_logits`, (batch, sequence) each."""
        both = self._linear("qa_outputs", hidden)
        parts = ["qa_outputs.start", "qa_outputs.end"]
        self.graph.nodes("qa_outputs.split", "Split", [both], parts, axis=-1, num_outputs=2)
        last = self.graph.integers("qa_outputs.axis", -1)
        for part, output in zip(parts, ("start_logits", "end_logits"), strict=True):
            self.graph.node(output, "Squeeze", part, last)

    def _embed(self) -> str:
        graph = self.graph
        words = graph.node("embeddings.words.picked", "Gather", "embeddings.words", "input_ids")
        if self.architecture.token_types:
            types = graph.node(
                "embeddings.token_types.picked",
                "Gather",
                "embeddings.token_types",
                "token_type_ids",
            )
            words = graph.node("embeddings.typed", "Add", words, types)
        # The first rows of the table, one for each token; for more tokens than rows the Add fails.
        # A Slice, as a Gather would be quantized like the word embeddings, to save 0.5 MB.
        length = graph.node("embeddings.length", "Shape", "input_ids", start=1, end=2)
        first = graph.integers("embeddings.first", 0)
        rows = graph.node("embeddings.rows", "Slice", "embeddings.positions", first, length)
        return self._norm_of_sum("embeddings", words, rows)

    def _attention_bias(self) -> str:
        """(batch, 1, 1, sequence): 0 for a token, the lowest float for padding.

        A score plus the lowest float rounds to the lowest float, and its exp is exactly 0. For a
        row of padding only, the probabilities are equal and finite.
        """
        graph = self.graph
        zero = graph.tensor("mask.zero", np.array(0, np.int64))
        lowest = graph.tensor("mask.lowest", np.array(_LOWEST, np.float32))
        none = graph.tensor("mask.none", np.array(0, np.float32))
        absent = graph.node("mask.absent", "Equal", "attention_mask", zero)
        bias = graph.node("mask.bias", "Where", absent, lowest, none)
        axes = graph.integers("mask.axes", 1, 2)
        return graph.node("mask.broadcast", "Unsqueeze", bias, axes)

    def _attend(self, name: str, hidden: str, bias: str) -> str:
        """softmax(QK' / sqrt(head size) + bias) V in each head. Q's weights contain the root."""
        graph = self.graph
        query = self._heads(f"{name}.query", hidden, (0, 2, 1, 3))
        key = self._heads(f"{name}.key", hidden, (0, 2, 3, 1))
        value = self._heads(f"{name}.value", hidden, (0, 2, 1, 3))
        scores = graph.node(f"{name}.scores", "MatMul", query, key)
        masked = graph.node(f"{name}.masked", "Add", scores, bias)
        probabilities = graph.node(f"{name}.shares", "Softmax", masked, axis=-1)
        mixed = graph.node(f"{name}.mixed", "MatMul", probabilities, value)
        turned = graph.node(f"{name}.turned", "Transpose", mixed, perm=(0, 2, 1, 3))
        joined = graph.node(f"{name}.joined", "Reshape", turned, "shape.joined")
        return self._norm_of_sum(name, self._linear(f"{name}.output", joined), hidden)

    def _heads(self, name: str, hidden: str, order: tuple[int, ...]) -> str:
        """A projection, split to (batch, sequence, heads, head size) and transposed to `order`."""
        projected = self._linear(name, hidden)
        split = self.graph.node(f"{name}.split", "Reshape", projected, "shape.heads")
        return self.graph.node(f"{name}.turned", "Transpose", split, perm=order)

    def _feed_forward(self, name: str, hidden: str) -> str:
        up = self._linear(f"{name}.up", hidden)
        active = self.graph.node(f"{name}.gelu", "Gelu", up)
        return self._norm_of_sum(name, self._linear(f"{name}.down", active), hidden)

    def _linear(self, name: str, values: str) -> str:
        product = self.graph.node(name, "MatMul", values, f"{name}.weight")
        return self.graph.node(f"{name}.biased", "Add", product, f"{name}.bias")

    def _norm_of_sum(self, name: str, left: str, right: str) -> str:
        summed = self.graph.node(f"{name}.sum", "Add", left, right)
        norm = f"{name}.norm"
        return self.graph.node(
            norm,
            "LayerNormalization",
            summed,
            f"{norm}.weight",
            f"{norm}.bias",
            epsilon=self.architecture.epsilon,
        )
