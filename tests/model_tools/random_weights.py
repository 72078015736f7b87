"""Random weights under the names that Hugging Face's library saves, for models of a given size.

The lists of names are written out here once more and not taken from the converter, so that it is
not compared with itself. `python -m tests.model_tools.random_weights SIZE DIR` writes a model
directory, with the default model's tokenizer.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from worker.models.bundle import DEFAULT_BUNDLE

Config = Mapping[str, Any]
Weights = dict[str, NDArray[np.float32]]

TINY_DISTILBERT: Config = {
    "model_type": "distilbert",
    "activation": "gelu",
    "dim": 12,
    "hidden_dim": 20,
    "max_position_embeddings": 16,
    "n_heads": 3,
    "n_layers": 2,
    "pad_token_id": 0,
    "vocab_size": 30,
}

TINY_BERT: Config = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": 12,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-3,
    "max_position_embeddings": 16,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "type_vocab_size": 2,
    "vocab_size": 30,
}

DISTILBERT_BASE: Config = {
    **TINY_DISTILBERT,
    "dim": 768,
    "hidden_dim": 3072,
    "max_position_embeddings": 512,
    "n_heads": 12,
    "n_layers": 6,
    "vocab_size": 30_522,
}

BERT_BASE_MULTILINGUAL: Config = {
    **TINY_BERT,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 119_547,
}

SIZES = {
    "distilbert-base": DISTILBERT_BASE,
    "bert-base-multilingual": BERT_BASE_MULTILINGUAL,
}

INITIAL_SCALE = 0.02
"""Standard deviation of both families' weights before training."""


def random_weights(
    config: Config, *, head: bool = True, scale: float = INITIAL_SCALE, seed: int = 0
) -> Weights:
    """A question-answering model's weights, or without `head` an encoder's.

    All are normal with standard deviation `scale`, around 1 for the weights of layer norms and
    around 0 for the rest, biases included: one that went missing would show.
    """
    shapes = _distilbert(config) if config["model_type"] == "distilbert" else _bert(config)
    prefix = f"{config['model_type']}." if head else ""
    named = {prefix + name: shape for name, shape in shapes}
    if head:
        width = config["dim"] if config["model_type"] == "distilbert" else config["hidden_size"]
        named |= {"qa_outputs.weight": (2, width), "qa_outputs.bias": (2,)}
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal(shape, np.float32) * np.float32(scale)
        + np.float32(_mean(name))
        for name, shape in named.items()
    }


def write_model(directory: Path, config: Config, weights: Weights) -> Path:
    """`config.json` and `model.safetensors`, as `save_pretrained` leaves them."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(dict(config)))
    save_file(weights, directory / "model.safetensors", {"format": "pt"})
    return directory


def _mean(name: str) -> float:
    return float(name.endswith((".LayerNorm.weight", "layer_norm.weight")))


def _linear(name: str, rows: int, columns: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _distilbert(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, hidden = config["dim"], config["hidden_dim"]
    yield "embeddings.word_embeddings.weight", (config["vocab_size"], width)
    yield "embeddings.position_embeddings.weight", (config["max_position_embeddings"], width)
    yield from _norm("embeddings.LayerNorm", width)
    for layer in range(config["n_layers"]):
        place = f"transformer.layer.{layer}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield from _linear(f"{place}.attention.{name}", width, width)
        yield from _norm(f"{place}.sa_layer_norm", width)
        yield from _linear(f"{place}.ffn.lin1", hidden, width)
        yield from _linear(f"{place}.ffn.lin2", width, hidden)
        yield from _norm(f"{place}.output_layer_norm", width)


def _bert(config: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, hidden = config["hidden_size"], config["intermediate_size"]
    yield "embeddings.word_embeddings.weight", (config["vocab_size"], width)
    yield "embeddings.position_embeddings.weight", (config["max_position_embeddings"], width)
    yield "embeddings.token_type_embeddings.weight", (config["type_vocab_size"], width)
    yield from _norm("embeddings.LayerNorm", width)
    for layer in range(config["num_hidden_layers"]):
        place = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            yield from _linear(f"{place}.attention.self.{name}", width, width)
        yield from _linear(f"{place}.attention.output.dense", width, width)
        yield from _norm(f"{place}.attention.output.LayerNorm", width)
        yield from _linear(f"{place}.intermediate.dense", hidden, width)
        yield from _linear(f"{place}.output.dense", width, hidden)
        yield from _norm(f"{place}.output.LayerNorm", width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--scale", type=float, default=INITIAL_SCALE)
    parser.add_argument("--encoder", action="store_true", help="without the head")
    arguments = parser.parse_args()
    config = SIZES[arguments.size]
    weights = random_weights(config, head=not arguments.encoder, scale=arguments.scale)
    write_model(arguments.directory, config, weights)
    shutil.copyfile(DEFAULT_BUNDLE / "tokenizer.json", arguments.directory / "tokenizer.json")


if __name__ == "__main__":
    main()
