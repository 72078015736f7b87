"""Compares the worker's embeddings with transformers': `python -m tests.parity.embeddings`.

The weights are random and of DistilBERT-base's size, since the repository has no trained encoder.
The worker's side is the converter and the engine; the other side is AutoModel on padded batches and
the code on the model cards of sentence-transformers. The exit code is 1 above `LIMIT`. Needs
`make parity`.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from schemas.embedding import Embedding
from schemas.text import Text
from tests.model_tools.random_weights import DISTILBERT_BASE, random_weights, write_model
from tests.model_tools.word_models import random_words, word_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.ordered import map_ordered
from worker.models.bundle import Bundle, open_bundle
from worker.models.manifest import MANIFEST, Manifest, Pooling

LIMIT = 1e-5
"""Maximum difference of one number of an embedding; the largest numbers are around 3. Another order
of float32 sums changes a number by less."""

LENGTHS = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 509, 510]
"""Lengths of the texts in tokens. 510 tokens fill a window."""

BATCH = 4

POOLINGS = [
    Pooling(mode="mean", normalize=False),
    Pooling(mode="mean", normalize=True),
    Pooling(mode="cls", normalize=False),
    Pooling(mode="cls", normalize=True),
]

Vectors = NDArray[np.float32]
Batch = tuple[torch.Tensor, torch.Tensor]
"""Token vectors, (texts, longest, dims), and mask, (texts, longest)."""


def token_vectors(model: torch.nn.Module, bundle: Bundle, texts: Sequence[Text]) -> Iterator[Batch]:
    """Yields the outputs of transformers' model on padded batches of the texts."""
    tokenizer = Tokenizer.from_file(str(bundle.tokenizer_file))
    tokenizer.enable_padding(pad_id=bundle.manifest.pad_token_id)
    for first in range(0, len(texts), BATCH):
        encodings = tokenizer.encode_batch([text.text for text in texts[first : first + BATCH]])
        ids = torch.tensor([encoding.ids for encoding in encodings])
        mask = torch.tensor([encoding.attention_mask for encoding in encodings])
        with torch.inference_mode():
            vectors = model(input_ids=ids, attention_mask=mask).last_hidden_state
        yield vectors, mask


def pooled(batches: Sequence[Batch], pooling: Pooling) -> Vectors:
    """Returns the embeddings by the code on the model cards of sentence-transformers."""
    results = []
    for vectors, mask in batches:
        if pooling.mode == "cls":
            embeddings = vectors[:, 0]
        else:
            expanded = mask.unsqueeze(-1).expand(vectors.size()).float()
            total = torch.sum(vectors * expanded, 1)
            embeddings = total / torch.clamp(expanded.sum(1), min=1e-9)
        if pooling.normalize:
            embeddings = torch.nn.functional.normalize(embeddings, p=2, dim=1)
        results.append(embeddings.numpy())
    return np.concatenate(results)


def worker_embeddings(bundle: Bundle, texts: Sequence[Text]) -> Vectors:
    """Returns the embeddings of the worker's engine."""
    defaults = InferenceOptions(threads=1, max_batch_tokens=2048, max_padding=0.9)
    with InferenceEngine(bundle, defaults) as engine:
        outcomes = list(map_ordered(engine, texts))
    assert all(isinstance(outcome, Embedding) and outcome.windows == 1 for outcome in outcomes)
    return np.array([outcome.embedding for outcome in outcomes if isinstance(outcome, Embedding)])


def with_pooling(bundle: Bundle, pooling: Pooling) -> Bundle:
    """Changes the pooling in the bundle's manifest, and opens the bundle again."""
    path = bundle.directory / MANIFEST
    manifest = Manifest.model_validate_json(path.read_bytes())
    path.write_bytes(manifest.model_copy(update={"pooling": pooling}).to_json())
    return open_bundle(bundle.directory)


def main() -> None:
    texts = [
        Text(id=str(count), text=random_words(DISTILBERT_BASE, count, count).event.passages[0].text)
        for count in LENGTHS
    ]
    weights = random_weights(DISTILBERT_BASE, head=False)
    table = Table(
        title=f"{len(texts)} texts of {LENGTHS[0]} to {LENGTHS[-1]} tokens; torch "
        f"{torch.__version__}, transformers {transformers.__version__}"
    )
    for heading in ("pooling", "normalised", "largest difference", "mean", "largest number"):
        table.add_column(heading)
    largest = []
    with tempfile.TemporaryDirectory() as scratch:
        source = write_model(Path(scratch, "transformers"), DISTILBERT_BASE, weights)
        bundle = word_bundle(Path(scratch, "worker"), DISTILBERT_BASE, weights)
        model = transformers.AutoModel.from_pretrained(source, dtype=torch.float32).eval()
        batches = list(token_vectors(model, bundle, texts))
        for pooling in POOLINGS:
            actual = worker_embeddings(with_pooling(bundle, pooling), texts)
            expected = pooled(batches, pooling)
            difference = np.abs(actual.astype(np.float64) - expected)
            largest.append(float(difference.max()))
            table.add_row(
                pooling.mode,
                "yes" if pooling.normalize else "no",
                f"{difference.max():.2e}",
                f"{difference.mean():.2e}",
                f"{np.abs(expected).max():.3f}",
            )
    Console().print(table)
    # Written so that a NaN fails.
    if not all(difference <= LIMIT for difference in largest):
        sys.exit(f"a difference is above {LIMIT}")


if __name__ == "__main__":
    main()
