"""Examples of SQuAD, and their EM and F1, normalized as by the official scripts.

Runs no model; `squad_document.py` knows the format of the files.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from schemas.question import Passage, Question
from schemas.rejection import Reason, Rejected
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.spans import ScoreNormalization
from worker.model_tools.evaluation.squad_document import Entry, read_entries

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its gold answers. Without gold answers, it is unanswerable."""

    id: str
    """Unique in its file, so that predictions can be found by it."""
    question: str
    context: str
    gold: tuple[str, ...]
    contexts: tuple[Passage, ...] = ()
    """In the place of `context`."""

    @property
    def texts(self) -> Sequence[str]:
        """The context, or the texts of the passages."""
        return [passage.text for passage in self.contexts] or [self.context]

    def event(self) -> Question | Rejected:
        """The question, or its rejection, as some files contain blank questions."""
        try:
            if self.contexts:
                return Question(id=self.id, question=self.question, contexts=list(self.contexts))
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
    """The decoding settings in words, to record with scores; `defaults` are for the model.

    `longest` is the model's limit for a window, in tokens.
    """
    words = ", aligned to words" if defaults.align_to_words else ""
    across = {
        ScoreNormalization.JOINT: "one softmax over all windows",
        ScoreNormalization.PER_WINDOW: "a softmax for each window",
    }[defaults.score_normalization]
    empty = (
        f"no answer allowed, threshold {defaults.no_answer_threshold or 0:g}"
        if defaults.no_answer is True
        else "every question answered"
    )
    least = f"; scores of at least {defaults.min_score:g}" if defaults.min_score else ""
    return (
        f"windows of {defaults.max_tokens or longest} tokens, stride {defaults.doc_stride}; "
        f"{across}; answers of at most {defaults.max_answer_tokens} tokens{words}; {empty}{least}"
    )


def load_squad(path: Path) -> list[Example]:
    """The examples of a SQuAD v1.1 or v2.0 file, in its order; at least one.

    An id that is missing, or that an earlier question has, is replaced by the question's place in
    the document, so that each question is scored by its own answer. Raises `DataError`, `OSError`.
    """
    used = set[str]()
    examples = []
    for entry in read_entries(path):
        name = _id(entry)
        while name in used:
            name = entry.place if name != entry.place else f"{name}, again"
        used.add(name)
        examples.append(Example(name, entry.question, entry.context, entry.gold, entry.contexts))
    return examples


def _id(entry: Entry) -> str:
    match entry.own_id:
        case str(text) if text:
            return text
        case int(number) if not isinstance(number, bool):
            return str(number)
    return entry.place


def score(examples: Iterable[Example], predictions: Mapping[str, str]) -> EvaluationResult:
    """EM and token F1, the best over an example's gold answers; a missing prediction scores 0.

    `predictions` are by the examples' ids.
    """
    examples = list(examples)
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


def score_by_answerability(
    examples: Iterable[Example], predictions: Mapping[str, str]
) -> Iterator[tuple[str, EvaluationResult]]:
    """The scores of the answerable and of the unanswerable questions, if the file has both: HasAns
    and NoAns of the official script.
    """
    examples = list(examples)
    answerable = [example for example in examples if example.gold]
    unanswerable = [example for example in examples if not example.gold]
    if answerable and unanswerable:
        yield "answerable", score(answerable, predictions)
        yield "unanswerable", score(unanswerable, predictions)


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
