"""What limits the scores of a file: which questions can be right, and where F1 means little."""

import re
from collections.abc import Iterator, Sequence

from worker.inference.options import InferenceOptions
from worker.model_tools.evaluation.squad import Example

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han: scripts that put no spaces between words."""


def notes(
    examples: Sequence[Example], options: InferenceOptions, *, knows_no_answer: bool
) -> Iterator[str]:
    """One line for each. `options` are for the model, and `knows_no_answer` is its manifest's: it
    was trained on unanswerable questions.
    """
    total = len(examples)
    unanswerable = sum(not example.gold for example in examples)
    no_answer = options.no_answer is True
    if unanswerable and not no_answer:
        yield (
            f"{unanswerable} of {total} questions are unanswerable and count as wrong: without "
            f"QA_NO_ANSWER=true the worker answers every question, unless the model was trained "
            f"on such questions; only the other {total - unanswerable} can be right"
        )
    elif unanswerable and not knows_no_answer:
        yield (
            f"{unanswerable} of {total} questions are unanswerable, but the model's manifest does "
            f"not say that it was trained on such questions, so its scores of the empty "
            f"answer have no known meaning"
        )
    elif no_answer and not unanswerable:
        yield (
            f"all {total} questions are answerable; as QA_NO_ANSWER is on, those that the worker "
            f"does not answer count as wrong"
        )
    unspaced = sum(any(map(_UNSPACED.search, example.gold)) for example in examples)
    if unspaced:
        yield (
            f"gold answers of {unspaced} of {total} questions are in a script without spaces "
            f"between words: F1 counts words between spaces, as the official script does, so it "
            f"is close to EM there"
        )
