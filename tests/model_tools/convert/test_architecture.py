"""Which configurations are read, and which are refused before a weight is looked at."""

from typing import Any

import pytest

from tests.model_tools.random_weights import TINY_BERT, TINY_DISTILBERT, Config
from worker.model_tools.convert.architecture import Architecture, Family, read_architecture
from worker.models.bundle import BundleError


def changed(config: Config, **changes: Any) -> Config:
    """`config` with some keys other; `...` takes one away."""
    return {key: value for key, value in {**config, **changes}.items() if value is not ...}


def test_distilbert_keys_are_read() -> None:
    assert read_architecture(TINY_DISTILBERT) == Architecture(
        family=Family.DISTILBERT,
        layers=2,
        width=12,
        heads=3,
        hidden=20,
        positions=16,
        vocabulary=30,
        token_types=0,
        epsilon=1e-12,
        pad_token_id=0,
    )


def test_bert_keys_are_read() -> None:
    assert read_architecture(TINY_BERT) == Architecture(
        family=Family.BERT,
        layers=2,
        width=12,
        heads=3,
        hidden=20,
        positions=16,
        vocabulary=30,
        token_types=2,
        epsilon=1e-3,
        pad_token_id=0,
    )


def test_missing_keys_have_the_librarys_defaults() -> None:
    early = changed(
        TINY_BERT, hidden_act=..., layer_norm_eps=..., pad_token_id=..., type_vocab_size=...
    )
    architecture = read_architecture(early)
    assert (architecture.epsilon, architecture.pad_token_id) == (1e-12, 0)
    assert architecture.token_types == 2


def test_explicit_default_values_are_accepted() -> None:
    usual = changed(
        TINY_BERT,
        position_embedding_type="absolute",
        is_decoder=False,
        add_cross_attention=False,
        pruned_heads={},
        attention_probs_dropout_prob=0.1,
        pooler_type="first_token_transform",
    )
    assert read_architecture(usual) == read_architecture(TINY_BERT)


@pytest.mark.parametrize("model_type", ["roberta", "BERT", "", None, 7, ["bert"], ...])
def test_unsupported_family_is_refused_by_name(model_type: Any) -> None:
    with pytest.raises(BundleError) as caught:
        read_architecture(changed(TINY_BERT, model_type=model_type))
    shown = None if model_type is ... else model_type
    assert str(caught.value) == (
        f"config.json: model_type is {shown!r}; only distilbert and bert are converted"
    )


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "silu", None])
@pytest.mark.parametrize(
    ("config", "key"), [(TINY_DISTILBERT, "activation"), (TINY_BERT, "hidden_act")]
)
def test_unsupported_activation_is_refused(config: Config, key: str, activation: Any) -> None:
    with pytest.raises(BundleError, match=f"{key} is {activation!r}, not 'gelu'"):
        read_architecture(changed(config, **{key: activation}))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("position_embedding_type", "relative_key_query"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("pruned_heads", {"0": [1]}),
    ],
)
def test_unsupported_values_are_refused(key: str, value: object) -> None:
    with pytest.raises(BundleError, match=rf"config\.json: {key} is .*; only .* is converted"):
        read_architecture(changed(TINY_BERT, **{key: value}))


@pytest.mark.parametrize("value", [..., None, 0, -1, True, 12.0, "12"])
@pytest.mark.parametrize("key", ["dim", "n_heads", "hidden_dim", "n_layers", "vocab_size"])
def test_invalid_size_is_refused(key: str, value: Any) -> None:
    with pytest.raises(BundleError, match=f"{key} is .*, not a positive whole number"):
        read_architecture(changed(TINY_DISTILBERT, **{key: value}))


@pytest.mark.parametrize("value", [None, 0.0, -1e-12, 1.0, 1, "1e-12", float("nan")])
def test_invalid_epsilon_is_refused(value: Any) -> None:
    with pytest.raises(BundleError, match="layer_norm_eps is"):
        read_architecture(changed(TINY_BERT, layer_norm_eps=value))


def test_width_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(BundleError, match="is not a multiple of num_attention_heads 5"):
        read_architecture(changed(TINY_BERT, num_attention_heads=5))


def test_padding_token_defaults_to_zero() -> None:
    assert read_architecture(changed(TINY_BERT, pad_token_id=None)).pad_token_id == 0


@pytest.mark.parametrize("pad", [-1, 0.0, False, "0"])
def test_invalid_padding_token_is_refused(pad: Any) -> None:
    with pytest.raises(BundleError, match="pad_token_id is"):
        read_architecture(changed(TINY_BERT, pad_token_id=pad))


def test_padding_token_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(BundleError, match="pad_token_id 30 is outside the vocabulary of 30"):
        read_architecture(changed(TINY_BERT, pad_token_id=30))
    assert read_architecture(changed(TINY_BERT, pad_token_id=29)).pad_token_id == 29


def test_refusal_is_a_bundle_error() -> None:
    assert issubclass(BundleError, BundleError)
