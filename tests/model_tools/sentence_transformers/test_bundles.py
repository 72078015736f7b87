"""A model of sentence-transformers as a bundle: the whole text to vector, every module applied."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.embedding import Embedding
from schemas.text import Text
from tests.model_tools import published_models as published
from tests.model_tools.forward import forward
from tests.model_tools.random_weights import TINY_DISTILBERT, random_weights
from tests.model_tools.sentence_transformers.published import (
    DenseModule,
    LayerNormModule,
    sentence_transformers,
)
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.model_tools.build import BuiltBundle, build_bundle, copy_bundle
from worker.model_tools.manifest_writer import Provenance
from worker.model_tools.sentence_transformers.pooling import find_pooling
from worker.model_tools.source_files import names_in, select_files
from worker.models.bundle import Bundle, BundleError

WIDTH = TINY_DISTILBERT["dim"]
DENSE, NORM = DenseModule(WIDTH, 7), LayerNormModule(7)
LAST = DenseModule(7, 3, bias=False, activation="torch.nn.modules.linear.Identity")
TEXT = "a answer b second"


def built(tmp_path: Path, files: published.Files) -> BuiltBundle:
    source = published.write(tmp_path / "source", {**published.safetensors(head=False), **files})
    contents = select_files(names_in(source), "x").with_modules(source, names_in(source))
    provenance = Provenance("x", pooling=find_pooling(source, None, None))
    return build_bundle(source, contents, tmp_path / "models" / "x", provenance)


def refusal(tmp_path: Path, files: published.Files) -> str:
    with pytest.raises(BundleError) as caught:
        built(tmp_path, files)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def embedding(bundle: Bundle, text: str = TEXT) -> NDArray[np.float64]:
    with InferenceEngine(bundle, InferenceOptions(threads=1)) as engine:
        outcome = engine.submit(Text(id="1", text=text)).result(30).outcome
    assert isinstance(outcome, Embedding)
    return np.array(outcome.embedding)


def encoded() -> NDArray[np.float64]:
    """The token vectors of `TEXT`, by the formulas of the paper."""
    words = published.vocabulary(TINY_DISTILBERT["vocab_size"])
    ids = np.array([[words.index(word) for word in ("[CLS]", *TEXT.split(), "[SEP]")]])
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    (hidden,) = forward(TINY_DISTILBERT, random_weights(TINY_DISTILBERT, head=False), inputs)
    return np.asarray(hidden[0])


def test_dense_and_layer_norm_follow_the_pooling(tmp_path: Path) -> None:
    bundle = built(
        tmp_path,
        sentence_transformers(Pooling="mean", Dense=DENSE, LayerNorm=NORM, Dense4=LAST),
    ).bundle
    assert bundle.manifest.format == 2
    dense, norm, last = DENSE.tensors, NORM.tensors, LAST.tensors
    vector = encoded().mean(axis=0)
    vector = np.tanh(dense["linear.weight"] @ vector + dense["linear.bias"])
    vector = (vector - vector.mean()) / np.sqrt(vector.var() + 1e-5)
    vector = last["linear.weight"] @ (vector * norm["norm.weight"] + norm["norm.bias"])
    np.testing.assert_allclose(embedding(bundle), vector, rtol=2e-5, atol=1e-6)


def test_normalize_comes_last(tmp_path: Path) -> None:
    files = sentence_transformers(Pooling="cls", Dense=DENSE, Normalize=None)
    vector = embedding(built(tmp_path, files).bundle)
    dense = DENSE.tensors
    expected = np.tanh(dense["linear.weight"] @ encoded()[0] + dense["linear.bias"])
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), rtol=1e-5, atol=1e-6)


def test_copy_keeps_the_layers(tmp_path: Path) -> None:
    bundle = built(tmp_path, sentence_transformers(Pooling="mean", Dense=DENSE)).bundle
    copy = copy_bundle(bundle, tmp_path / "copy", Provenance.of(bundle.manifest, "copy")).bundle
    np.testing.assert_array_equal(embedding(copy), embedding(bundle))


@pytest.mark.parametrize(
    ("dense", "changes", "message"),
    [
        (
            DenseModule(WIDTH + 1, 3),
            {},
            "token vectors of 12 numbers, but 2_Dense.weight.npy takes 13",
        ),
        (
            DENSE,
            {"model.safetensors": None, "pytorch_model.bin": b""},
            "pytorch_model.bin is a pick",
        ),
        (
            DENSE,
            {"model.safetensors": LAST.files["model.safetensors"]},
            "holds linear.weight; needed",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, dense: DenseModule, changes: dict[str, bytes | None], message: str
) -> None:
    files: dict[str, bytes | None] = dict(sentence_transformers(Pooling="mean", Dense=dense))
    files |= {f"2_Dense/{name}": content for name, content in changes.items()}
    kept = {name: content for name, content in files.items() if content is not None}
    assert message in refusal(tmp_path, kept)


# What happens to a text before the tokenizer.


def settings(**fields: object) -> published.Files:
    return {"sentence_bert_config.json": json.dumps(fields).encode()}


def test_max_seq_length_is_the_longest_window(tmp_path: Path) -> None:
    limits = {"tokenizer_config.json": b'{"model_max_length": 9}', **settings(max_seq_length=11)}
    assert built(tmp_path, limits).bundle.manifest.max_tokens == 11


@pytest.mark.parametrize("lowercase", [True, False])
def test_do_lower_case_is_applied(tmp_path: Path, lowercase: bool) -> None:
    tokenizer = json.loads(published.safetensors()["tokenizer.json"])
    tokenizer["normalizer"]["lowercase"] = False
    files = {"tokenizer.json": json.dumps(tokenizer).encode(), **settings(do_lower_case=lowercase)}
    bundle = built(tmp_path, files).bundle
    same = np.array_equal(embedding(bundle, TEXT.upper()), embedding(bundle, TEXT))
    assert same is lowercase


def test_default_prompt_is_refused(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    said = refusal(tmp_path, {"config_sentence_transformers.json": json.dumps(prompts).encode()})
    assert "default_prompt_name is 'query', whose text 'query: ' goes before every text" in said


def test_prompts_and_unused_settings_are_noted(tmp_path: Path) -> None:
    prompts = {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": None}
    files = {"config_sentence_transformers.json": json.dumps(prompts).encode()}
    notes = built(tmp_path, {**files, **settings(modality_config={"text": 1}, x=None)}).notes
    assert [note.partition(":")[0] for note in notes] == [
        "config_sentence_transformers.json has prompts (query",
        "sentence_bert_config.json",
    ]
    assert notes[1].endswith("modality_config is not used")


def test_other_tasks_are_refused(tmp_path: Path) -> None:
    assert "transformer_task is 'fill-mask'" in refusal(
        tmp_path, settings(transformer_task="fill-mask")
    )
