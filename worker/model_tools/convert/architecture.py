"""Reads a model's architecture from `config.json`: family and sizes.

Knows the keys and their defaults in Hugging Face's `DistilBertConfig` and `BertConfig`. Refuses
every value that the converter would not compute as transformers does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.models.bundle import BundleError


class Family(StrEnum):
    """The `model_type`s that the converter knows."""

    DISTILBERT = "distilbert"
    BERT = "bert"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of an encoder with the exact GELU and absolute positions."""

    family: Family
    layers: int
    width: int
    """Dimensions of a token's vector."""
    heads: int
    hidden: int
    """Dimensions inside the feed-forward blocks."""
    positions: int
    """The longest input, in tokens."""
    vocabulary: int
    token_types: int
    """0 if the family has none."""
    epsilon: float
    """Added to the variance in layer norms."""
    pad_token_id: int

    @property
    def head_size(self) -> int:
        return self.width // self.heads


# Field to key, for each family.
_KEYS = {
    Family.DISTILBERT: {
        "layers": "n_layers",
        "width": "dim",
        "heads": "n_heads",
        "hidden": "hidden_dim",
        "activation": "activation",
    },
    Family.BERT: {
        "layers": "num_hidden_layers",
        "width": "hidden_size",
        "heads": "num_attention_heads",
        "hidden": "intermediate_size",
        "activation": "hidden_act",
    },
}

# Other values change what the layers compute; the converter does not support them.
_MUST_BE = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
}


def read_architecture(config: Mapping[str, object]) -> Architecture:
    """The architecture of a parsed `config.json`. Raises `BundleError`, naming the key."""
    model_type = config.get("model_type")
    if model_type not in list(Family):
        known = " and ".join(Family)
        raise BundleError(f"config.json: model_type is {model_type!r}; only {known} are converted")
    family = Family(str(model_type))
    keys = _KEYS[family]
    activation = config.get(keys["activation"], "gelu")
    if activation != "gelu":
        raise BundleError(f"config.json: {keys['activation']} is {activation!r}, not 'gelu'")
    for key, expected in _MUST_BE.items():
        # A missing key or null means the default, which is the expected value.
        if (value := config.get(key)) is not None and value != expected:
            raise BundleError(f"config.json: {key} is {value!r}; only {expected!r} is converted")
    is_bert = family is Family.BERT
    architecture = Architecture(
        family=family,
        layers=_size(config, keys["layers"]),
        width=_size(config, keys["width"]),
        heads=_size(config, keys["heads"]),
        hidden=_size(config, keys["hidden"]),
        positions=_size(config, "max_position_embeddings"),
        vocabulary=_size(config, "vocab_size"),
        token_types=_size(config, "type_vocab_size", 2) if is_bert else 0,
        # DistilBERT has it as a constant in its code.
        epsilon=_epsilon(config) if is_bert else 1e-12,
        pad_token_id=_pad(config),
    )
    if architecture.width % architecture.heads:
        raise BundleError(
            f"config.json: {keys['width']} {architecture.width} is not a multiple of "
            f"{keys['heads']} {architecture.heads}"
        )
    if architecture.pad_token_id >= architecture.vocabulary:
        # Otherwise every padded batch would fail.
        raise BundleError(
            f"config.json: pad_token_id {architecture.pad_token_id} is outside the vocabulary of "
            f"{architecture.vocabulary}"
        )
    return architecture


def _size(config: Mapping[str, object], key: str, default: int | None = None) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BundleError(f"config.json: {key} is {value!r}, not a positive whole number")
    return value


def _epsilon(config: Mapping[str, object]) -> float:
    value = config.get("layer_norm_eps", 1e-12)
    if not isinstance(value, float) or not 0 < value < 1:
        raise BundleError(f"config.json: layer_norm_eps is {value!r}, not a small fraction")
    return value


def _pad(config: Mapping[str, object]) -> int:
    value = config.get("pad_token_id")
    if value is None:
        # Padding is masked, so any token works.
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BundleError(f"config.json: pad_token_id is {value!r}, not a token id")
    return value
