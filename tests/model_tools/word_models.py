"""Random models over a vocabulary of which every entry is a word: offsets are known by counting.

The whole way is gone: random weights, the converter, a bundle, the reader; and beside it a second,
short one from the same words to the same answer, over onnxruntime alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from schemas.question import Question
from tests.inference.bundles import SPECIALS, bert_tokenizer
from tests.model_tools.random_weights import Config, Weights, random_weights, write_model
from worker.model_tools.build import try_bundle
from worker.model_tools.convert.convert import convert_directory
from worker.model_tools.manifest_writer import Provenance, write_manifest
from worker.models.bundle import Bundle

CLS, SEP = SPECIALS.index("[CLS]"), SPECIALS.index("[SEP]")

QUESTION_WORDS = 4


@dataclass(frozen=True, slots=True)
class Words:
    """A question and a context of random words. The third of their ids is the word "ж3"."""

    question: NDArray[np.int64]
    context: NDArray[np.int64]

    @property
    def event(self) -> Question:
        return Question(
            id="words",
            question=" ".join(map(word, self.question)),
            context=" ".join(map(word, self.context)),
        )

    def spans(self, *, max_words: int) -> dict[tuple[int, int], tuple[int, int]]:
        """Start and end of every span in the text, in code points, to its first and last word."""
        lengths = np.array([len(word(number)) for number in self.context])
        # One blank stands between two words.
        starts = np.concatenate(([0], np.cumsum(lengths[:-1] + 1)))
        ends = starts + lengths
        return {
            (int(starts[first]), int(ends[last])): (first, last)
            for first in range(len(lengths))
            for last in range(first, min(len(lengths), first + max_words))
        }

    def best_span(self, bundle: Bundle, *, max_words: int) -> tuple[int, int]:
        """The answer of a context that fits in one window: every pair is tried."""
        session = ort.InferenceSession(bundle.model_file, providers=["CPUExecutionProvider"])
        ids = np.concatenate(([CLS], self.question, [SEP], self.context, [SEP]))[None]
        head = len(self.question) + 2
        types = (np.arange(ids.shape[1]) >= head).astype(np.int64)[None]
        inputs = {
            "input_ids": ids,
            "token_type_ids": types,
            "attention_mask": np.ones_like(ids),
        }
        starts, ends = session.run(
            ["start_logits", "end_logits"],
            {name: inputs[name] for name in bundle.manifest.inputs},
        )
        if starts.shape != ids.shape or ends.shape != ids.shape:
            raise ValueError(f"logits of {starts.shape} and {ends.shape} for ids of {ids.shape}")

        def score(span: tuple[int, int]) -> float:
            # The softmax's denominators are the same for all spans: the sum of logits decides.
            first, last = spans[span]
            return float(starts[0, head + first]) + float(ends[0, head + last])

        spans = self.spans(max_words=max_words)
        return max(spans, key=score)


def word(number: int) -> str:
    """The word of a token id; every other one is not ASCII, to test offsets in code points."""
    return f"{'wж'[number % 2]}{number}"


def random_words(config: Config, count: int, seed: int = 0) -> Words:
    """A question of a few words, and a context of `count`, out of all the words there are."""
    random = np.random.default_rng(seed)
    numbers = random.integers(len(SPECIALS), config["vocab_size"], QUESTION_WORDS + count)
    return Words(question=numbers[:QUESTION_WORDS], context=numbers[QUESTION_WORDS:])


def word_bundle(directory: Path, config: Config, weights: Weights) -> Bundle:
    """A bundle of `weights`, converted from a file, with a word for every row of the table."""
    write_model(directory, config, weights)
    onnx.save(convert_directory(directory), directory / "model.onnx")
    (directory / "model.safetensors").unlink()
    words = [word(number) for number in range(len(SPECIALS), config["vocab_size"])]
    bert_tokenizer(words).save(str(directory / "tokenizer.json"))
    write_manifest(directory, Provenance(name="words"))
    return try_bundle(directory)


def spread_weights(config: Config) -> Weights:
    """Random weights that make logits far enough apart for one best answer."""
    return random_weights(config, scale=0.1)
