"""Reads SQuAD files and computes EM and F1, normalized as by the official scripts.

Knows the format of SQuAD v1.1 and v2.0. Runs no model.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.question import Question
from schemas.rejection import Reason, Rejected
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import ScoreNormalization

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


class DataError(Exception):
    """The file is not a SQuAD file; the message says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its gold answers. Without gold answers, it is unanswerable."""

    id: str
    question: str
    context: str
    gold: tuple[str, ...]

    def event(self) -> Question | Rejected:
        """The question, or its rejection, as some files contain blank questions."""
        try:
            return Question(id=self.id, question=self.question, context=self.context)
        except ValidationError as error:
            return Rejected(Reason.SCHEMA, error.errors(include_input=False)[0]["msg"])


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Percentages over `total` questions."""

    exact_match: float
    f1: float
    total: int


def describe_decoder(defaults: InferenceOptions, longest: int) -> str:
    """The decoding settings in words, to record with scores.

    `longest` is the model's limit for a window, in tokens.
    """
    words = ", aligned to words" if defaults.align_to_words else ""
    across = {
        ScoreNormalization.JOINT: "one softmax over all windows",
        ScoreNormalization.PER_WINDOW: "a softmax for each window",
    }[defaults.score_normalization]
    return (
        f"windows of {defaults.max_tokens or longest} tokens, stride {defaults.doc_stride}; "
        f"{across}; answers of at most {defaults.max_answer_tokens} tokens{words}"
    )


def load_squad(path: Path) -> list[Example]:
    """The examples of a SQuAD v1.1 or v2.0 file, in its order. Raises `DataError`, `OSError`."""
    try:
        document = json.loads(path.read_bytes())
        return list(_examples(document))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a SQuAD file: {type(error).__name__}: {error}") from None


def _examples(
    document: Mapping[str, list[dict[str, list[dict[str, object]]]]],
) -> Iterator[Example]:
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            context = str(paragraph["context"])
            questions = paragraph["qas"]
            if not isinstance(questions, list):
                raise TypeError("qas is not a list")
            for entry in questions:
                yield Example(
                    id=str(entry["id"]),
                    question=str(entry["question"]),
                    context=context,
                    gold=tuple(str(answer["text"]) for answer in entry["answers"]),
                )


def score(examples: list[Example], predictions: Mapping[str, str]) -> EvaluationResult:
    """EM and token F1, the best over an example's gold answers; a missing prediction scores 0."""
    exact = f1 = 0.0
    for example in examples:
        prediction = predictions.get(example.id)
        if prediction is None:
            continue
        gold = [text for text in example.gold if normalize(text)] or [""]
        exact += max(float(normalize(prediction) == normalize(text)) for text in gold)
        f1 += max(token_f1(prediction, text) for text in gold)
    total = len(examples)
    return EvaluationResult(100 * exact / max(total, 1), 100 * f1 / max(total, 1), total)


def normalize(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: the official script's steps."""
    kept = "".join(character for character in text.lower() if character not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def token_f1(prediction: str, gold: str) -> float:
    """Harmonic mean of token precision and recall; 1 where both are empty."""
    predicted, expected = normalize(prediction).split(), normalize(gold).split()
    if not predicted or not expected:
        return float(predicted == expected)
    same = sum((Counter(predicted) & Counter(expected)).values())
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(expected)
    return 2 * precision * recall / (precision + recall)
