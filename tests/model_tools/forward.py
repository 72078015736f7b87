"""A forward pass of DistilBERT and BERT in plain numpy, from the papers' formulas, in float64.

Takes Hugging Face's names as they are and shares nothing with the converter: what the graph
computes is held against this.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.model_tools.random_weights import Config, Weights

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


_DISTILBERT = {
    "layer": "transformer.layer",
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "norm": "output_layer_norm",
    "heads": "n_heads",
    "layers": "n_layers",
}
_BERT = {
    "layer": "encoder.layer",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
    "heads": "num_attention_heads",
    "layers": "num_hidden_layers",
}


def forward(config: Config, weights: Weights, inputs: Mapping[str, Ints]) -> list[Doubles]:
    """The last hidden state, or start and end logits where the weights have the head."""
    is_bert = config["model_type"] == "bert"
    names = _BERT if is_bert else _DISTILBERT
    prefix = f"{config['model_type']}."
    bare = {name.removeprefix(prefix): array.astype(np.float64) for name, array in weights.items()}
    epsilon = config["layer_norm_eps"] if is_bert else 1e-12
    ids = inputs["input_ids"]
    x = bare["embeddings.word_embeddings.weight"][ids]
    x = x + bare["embeddings.position_embeddings.weight"][np.arange(ids.shape[1])]
    if is_bert:
        x = x + bare["embeddings.token_type_embeddings.weight"][inputs["token_type_ids"]]
    x = _norm(bare, "embeddings.LayerNorm", x, epsilon)
    for number in range(config[names["layers"]]):
        place = f"{names['layer']}.{number}."
        mixed = _attention(config, bare, names, place, x, inputs["attention_mask"])
        x = _norm(bare, place + names["attention_norm"], x + mixed, epsilon)
        inner = _gelu(_linear(bare, place + names["up"], x))
        down = _linear(bare, place + names["down"], inner)
        x = _norm(bare, place + names["norm"], x + down, epsilon)
    if "qa_outputs.weight" not in bare:
        return [x]
    logits = _linear(bare, "qa_outputs", x)
    return [logits[..., 0], logits[..., 1]]


def _attention(
    config: Config,
    bare: Mapping[str, Doubles],
    names: Mapping[str, Any],
    place: str,
    x: Doubles,
    mask: Ints,
) -> Doubles:
    """softmax(Q K' / sqrt(d)) V for each head, over the tokens that are there."""
    heads = config[names["heads"]]
    size = x.shape[-1] // heads
    query, key, value = (_linear(bare, place + names[n], x) for n in ("query", "key", "value"))
    joined = np.zeros_like(x)
    for row in range(len(x)):
        there = np.flatnonzero(mask[row])
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            if not len(there):
                # For padding only, the library averages all tokens; no test reads the result.
                joined[row, :, part] = value[row, :, part].mean(axis=0)
                continue
            scores = query[row, :, part] @ key[row, there, part].T / math.sqrt(size)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            joined[row, :, part] = shares @ value[row, there, part]
    return _linear(bare, place + names["output"], joined)


def _linear(bare: Mapping[str, Doubles], name: str, x: Doubles) -> Doubles:
    return x @ bare[f"{name}.weight"].T + bare[f"{name}.bias"]


def _norm(bare: Mapping[str, Doubles], name: str, x: Doubles, epsilon: float) -> Doubles:
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    scaled = (x - mean) / np.sqrt(variance + epsilon)
    return np.asarray(scaled * bare[f"{name}.weight"] + bare[f"{name}.bias"])


def _gelu(x: Doubles) -> Doubles:
    """x times the normal distribution's Phi(x): Hendrycks and Gimpel, 2016."""
    erf = np.frompyfunc(math.erf, 1, 1)
    return x * 0.5 * (1 + np.asarray(erf(x / math.sqrt(2)), np.float64))
