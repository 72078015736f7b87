"""Bundles of a few kilobytes: a WordPiece tokenizer over the test's own words, and a table of
logits for a model. Opened in milliseconds, and fp32: their windows run in batches.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from tests.inference.graphs import table_model
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import MANIFEST, Manifest, file_hashes

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

WORDS: Mapping[str, tuple[float, float]] = {
    "answer": (6.0, 6.0),
    "second": (5.0, 5.0),
    "nan": (float("nan"), 0.0),
    **dict.fromkeys("abcdefgh", (0.0, 0.0)),
}
"""A word to its start and end logit."""

POISON = "poison"
"""A word on which the model raises."""


def bert_tokenizer(words: Sequence[str]) -> Tokenizer:
    """Uncased WordPiece with BERT's template for pairs."""
    ids = {token: number for number, token in enumerate([*SPECIALS, *words])}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def tiny_model() -> bytes:
    logits = [(0.0, 0.0)] * len(SPECIALS) + list(WORDS.values())
    return table_model([start for start, _ in logits], [end for _, end in logits])


def write_bundle(
    directory: Path,
    *,
    model: bytes | None = None,
    tokenizer: Tokenizer | None = None,
    max_tokens: int = 32,
    **described: Any,
) -> Path:
    """A bundle directory; what is not given is the tiny one's. `described` goes to the manifest."""
    directory.mkdir(exist_ok=True)
    (directory / "model.onnx").write_bytes(tiny_model() if model is None else model)
    (tokenizer or bert_tokenizer([*WORDS, POISON])).save(str(directory / "tokenizer.json"))
    config = {"max_position_embeddings": max_tokens, "pad_token_id": 0}
    (directory / "config.json").write_text(json.dumps(config))
    manifest = Manifest.model_validate(
        {
            "task": "question-answering",
            "name": "tiny",
            "precision": "float32",
            "batch_invariant": True,
            "files": file_hashes(directory),
            "inputs": ["input_ids", "attention_mask"],
            "outputs": ["start_logits", "end_logits"],
            "max_tokens": max_tokens,
            **described,
        }
    )
    (directory / MANIFEST).write_bytes(manifest.to_json())
    return directory


def tiny_bundle(directory: Path, *, max_tokens: int = 32) -> Bundle:
    return open_bundle(write_bundle(directory, max_tokens=max_tokens))
