"""What a model's `config.json` says of its graph: family, sizes, and that nothing is unusual.

Knows the configuration's keys and their defaults in Hugging Face's `DistilBertConfig` and
`BertConfig`. Everything that the converter would compute differently is refused here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.models.bundle import BundleError


class Family(StrEnum):
    """`model_type`, of those that the converter knows."""

    DISTILBERT = "distilbert"
    BERT = "bert"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of an encoder. Its activation is the exact GELU, its positions are absolute."""

    family: Family
    layers: int
    width: int
    """Of a token's vector."""
    heads: int
    hidden: int
    """Width inside the feed-forward blocks."""
    positions: int
    """The longest input, in tokens."""
    vocabulary: int
    token_types: int
    """0 where the family has none."""
    epsilon: float
    """Added to the variance in layer norms."""
    pad_token_id: int

    @property
    def head_size(self) -> int:
        return self.width // self.heads


# What the two families call the same things.
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

# Each of these changes what the layers compute, and our graph has no place for it.
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
        raise BundleError(f"config.json: model_type is {model_type!r}; {known} are converted")
    family = Family(str(model_type))
    keys = _KEYS[family]
    activation = config.get(keys["activation"], "gelu")
    if activation != "gelu":
        raise BundleError(f"config.json: {keys['activation']} is {activation!r}, not 'gelu'")
    for key, expected in _MUST_BE.items():
        # Left out or null is the default, and the defaults are what we expect.
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
        # DistilBERT's is a constant of its code, not of its configuration.
        epsilon=_epsilon(config) if is_bert else 1e-12,
        pad_token_id=_pad(config),
    )
    if architecture.width % architecture.heads:
        raise BundleError(
            f"config.json: {keys['width']} {architecture.width} is no multiple of "
            f"{keys['heads']} {architecture.heads}"
        )
    if architecture.pad_token_id >= architecture.vocabulary:
        # Every padded batch would fail.
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
        # Padding is masked, so that any token will do.
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BundleError(f"config.json: pad_token_id is {value!r}, not a token id")
    return value
